#include "usage_rows.hpp"

#include "sluice/base/ip_address.hpp"

namespace sluice::reconcile {
namespace {

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

void copy_counts(const price::TokenCounts& counts, ledger::UsageRow& row) {
  row.input = counts.input;
  row.cache_read = counts.cache_read;
  row.cache_write_short = counts.cache_write_short;
  row.cache_write_long = counts.cache_write_long;
  row.output = counts.output;
  row.reasoning = counts.reasoning;
  for (std::size_t i = 0; i < counts.calls.size(); ++i) row.calls[i] = counts.calls[i];
}

void copy_times(const state::OutboxRecord& record, ledger::UsageRow& row) {
  row.started_ns = record.started_at_ns;
  row.queue_ns = number(record.queue_ns);
  row.connect_ns = number(record.connect_ns);
  row.first_byte_ns = number(record.first_byte_ns);
  row.first_token_ns = number(record.first_token_ns);
  row.total_ns = number(record.total_ns);
  row.own_ns = number(record.own_ns);
}

void write_hex(std::span<const std::uint8_t> bytes, std::string& text) {
  constexpr char kDigits[] = "0123456789abcdef";
  text.resize(bytes.size() * 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text[2 * i] = kDigits[bytes[i] >> 4];
    text[2 * i + 1] = kDigits[bytes[i] & 15];
  }
}

}  // namespace

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  write_hex(bytes, text);
  return text;
}

std::string address_text(std::uint32_t kind, const std::array<std::uint8_t, 16>& bytes) {
  if (kind != 4 && kind != 6) return {};
  const auto address = ip_from_bytes(std::span(bytes).first(kind == 4 ? 4 : 16));
  return address ? to_string(*address) : std::string();
}

std::string_view padded_text(std::span<const char> field) {
  const std::string_view text(field.data(), field.size());
  return text.substr(0, text.find('\0'));
}

void to_usage(const state::OutboxRow& source, ledger::UsageRow& row) {
  const state::OutboxRecord& record = source.record;
  row.slot = source.id.slot;
  row.seq = source.id.seq;
  row.hold_seq = record.hold.seq;
  row.kind = static_cast<std::int64_t>(record.kind);
  row.end = static_cast<std::int64_t>(record.end);
  row.phase = static_cast<std::int64_t>(record.phase);
  row.status = record.http_status;
  row.error = record.error;
  row.flags = record.flags;
  row.format_in = record.format_in;
  row.format_out = record.format_out;
  row.stream = record.stream != 0;
  row.wallet_id = number(record.wallet_id);
  row.key_id = number(record.key_id);
  row.model_id = record.model_id;
  row.channel_id = record.channel_id;
  row.channel_key_id = record.channel_key_id;
  row.price_version = number(record.price_version);
  row.multiplier = record.multiplier;
  row.attempts = record.attempts;
  row.client_retry = record.client_retry;
  write_hex(record.request_id, row.request_id);
  row.client_address = address_text(record.client_address_kind, record.client_address);
  row.tags = padded_text(record.tags);
  copy_counts(record.counts, row);
  row.input_estimate = record.input_estimate;
  row.counted_output = record.counted_output;
  row.held = record.held;
  row.charged = record.charged;
  row.excess = record.excess;
  row.loss = record.loss;
  copy_times(record, row);
  row.bytes_in = number(record.bytes_in);
  row.bytes_out = number(record.bytes_out);
  row.key_day = record.key_windows.day;
  row.key_month = record.key_windows.month;
  row.wallet_day = record.wallet_windows.day;
  row.wallet_month = record.wallet_windows.month;
  row.route_reason = record.route_reason;
  row.route_group_id = record.route_group_id;
  row.upstream_cost = record.upstream_cost;
  static_assert(ledger::kUsageAttempts == state::kFailedAttempts);
  for (std::size_t i = 0; i < row.failed.size(); ++i) {
    const state::FailedAttempt& attempt = record.failed[i];
    row.failed[i] = {attempt.channel_id, attempt.channel_key_id, attempt.status, attempt.fault,
                     attempt.sent != 0,  attempt.lasted_ms,      attempt.cost};
  }
}

}  // namespace sluice::reconcile
