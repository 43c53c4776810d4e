#include "convert.hpp"

#include <algorithm>

#include "sluice/base/ip_address.hpp"
#include "sluice/control/keys.hpp"

namespace sluice::reconcile {
namespace {

std::uint32_t small(std::int64_t value) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(value, 0, UINT32_MAX));
}

/// "none" is -1 in the ledger; counts of the shared state have 0 for it.
std::uint32_t count_of(std::int64_t value) { return value < 0 ? 0 : small(value); }

bool parse_digest(const std::string& hex, Digest256& out) {
  if (hex.size() != 64) return false;
  for (std::size_t i = 0; i < 64; ++i) {
    const char c = hex[i];
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return false;
    const auto value = static_cast<std::uint8_t>(digit ? c - '0' : c - 'a' + 10);
    out[i / 2] = static_cast<std::uint8_t>(i % 2 == 0 ? value << 4 : out[i / 2] | value);
  }
  return true;
}

}  // namespace

TextNumbers::TextNumbers(const std::vector<ledger::NumberedText>& texts) {
  for (const ledger::NumberedText& text : texts) numbers_[{text.kind, text.text}] = small(text.id);
}

Result<std::uint32_t> TextNumbers::of(ledger::TextKind kind, const std::string& text) const {
  if (text.empty() || (kind == ledger::TextKind::zone && text == "UTC") ||
      (kind == ledger::TextKind::model_set && text == "*")) {
    return 0U;
  }
  const auto found = numbers_.find({kind, text});
  if (found == numbers_.end()) return fail(Errc::not_found);
  return found->second;
}

Result<state::WalletPublish> to_publish(const ledger::Wallet& wallet, const TextNumbers& numbers) {
  const auto zone = numbers.of(ledger::TextKind::zone, wallet.zone);
  if (!zone) return std::unexpected(zone.error());
  state::WalletPublish out;
  out.wallet_id = static_cast<state::WalletId>(wallet.id);
  out.overdraft_limit = wallet.overdraft_limit;
  out.group = small(wallet.group_id);
  out.zone = *zone;
  out.state = wallet.enabled ? state::WalletState::active : state::WalletState::suspended;
  out.limits.budget_day = wallet.budget_day;
  out.limits.budget_month = wallet.budget_month;
  out.limits.in_flight = count_of(wallet.max_in_flight);
  out.limits.requests_per_minute = count_of(wallet.requests_per_minute);
  out.limits.tokens_per_minute = wallet.tokens_per_minute < 0 ? 0 : static_cast<std::uint64_t>(wallet.tokens_per_minute);
  return out;
}

Result<state::KeyPublish> to_publish(const ledger::ApiKey& key, const ledger::Wallet& wallet,
                                     const TextNumbers& numbers) {
  const ledger::KeyPolicy& policy = key.policy;
  const auto zone = numbers.of(ledger::TextKind::zone, policy.zone);
  const auto wallet_zone = numbers.of(ledger::TextKind::zone, wallet.zone);
  const auto model_set = numbers.of(ledger::TextKind::model_set, policy.models);
  const auto cidr_set = numbers.of(ledger::TextKind::cidr_set, control::cidr_set_text(policy));
  state::KeyPublish out;
  if (!zone || !wallet_zone || !model_set || !cidr_set) return fail(Errc::not_found);
  if (!parse_digest(key.digest, out.digest)) return fail(Errc::corrupt);
  state::KeyRecord& record = out.record;
  record.key_id = static_cast<state::KeyId>(key.id);
  record.wallet_id = static_cast<state::WalletId>(wallet.id);
  record.expires_at_ns = policy.expires_ns;
  record.state = key.enabled ? state::KeyState::active : state::KeyState::disabled;
  record.on_disconnect = policy.on_disconnect == ledger::OnDisconnect::drain ? state::OnDisconnect::drain
                                                                             : state::OnDisconnect::cancel;
  record.on_low_balance = policy.clamp ? state::OnLowBalance::clamp : state::OnLowBalance::refuse;
  record.on_revoke = policy.on_revoke == ledger::OnRevoke::cut ? state::OnRevoke::cut : state::OnRevoke::finish;
  record.model_set = *model_set;
  record.cidr_set = *cidr_set;
  record.zone = *zone;
  record.wallet_zone = *wallet_zone;
  record.group = small(wallet.group_id);
  record.drain_seconds = small(policy.drain_seconds);
  record.drain_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(policy.drain_bytes, 0));
  record.drain_nanos = policy.drain_nanos;
  record.excess_max = policy.excess_max;
  state::Limits& limits = out.limits;
  limits.budget_total = policy.budget_total;
  limits.budget_day = policy.budget_day;
  limits.budget_month = policy.budget_month;
  limits.in_flight = count_of(policy.max_in_flight);
  limits.requests_per_minute = count_of(policy.requests_per_minute);
  limits.tokens_per_minute = policy.tokens_per_minute < 0 ? 0 : static_cast<std::uint64_t>(policy.tokens_per_minute);
  const bool budget = policy.budget_total >= 0 || policy.budget_day >= 0 || policy.budget_month >= 0;
  const bool rate = limits.requests_per_minute != 0 || limits.tokens_per_minute != 0;
  record.flags = (policy.may_pin ? state::kKeyMayPin : 0U) | (policy.reserve_context ? state::kKeyReserveContext : 0U) |
                 (budget ? state::kKeyHasBudget : 0U) | (rate ? state::kKeyHasRateLimit : 0U);
  return out;
}

std::string to_hex(const std::array<std::uint8_t, 16>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out(32, '0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    out[2 * i] = kDigits[bytes[i] >> 4];
    out[2 * i + 1] = kDigits[bytes[i] & 15];
  }
  return out;
}

std::string address_text(std::uint32_t kind, const std::array<std::uint8_t, 16>& bytes) {
  if (kind != 4 && kind != 6) return {};
  const auto address = ip_from_bytes(std::span(bytes).first(kind == 4 ? 4 : 16));
  return address ? to_string(*address) : std::string();
}

std::string text_of(std::span<const char> bytes) {
  std::string out(bytes.begin(), std::find(bytes.begin(), bytes.end(), '\0'));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  }
  return out;
}

ledger::UsageRow to_usage(const state::OutboxRow& in) {
  const state::OutboxRecord& record = in.record;
  ledger::UsageRow out;
  out.slot = in.id.slot;
  out.seq = in.id.seq;
  out.hold_seq = record.hold.seq;
  out.kind = static_cast<std::int64_t>(record.kind);
  out.end = static_cast<std::int64_t>(record.end);
  out.phase = static_cast<std::int64_t>(record.phase);
  out.status = record.http_status;
  out.error = record.error;
  out.flags = record.flags;
  out.format_in = record.format_in;
  out.format_out = record.format_out;
  out.stream = record.stream != 0;
  out.wallet_id = static_cast<ledger::Id>(record.wallet_id);
  out.key_id = static_cast<ledger::Id>(record.key_id);
  out.model_id = record.model_id;
  out.channel_id = record.channel_id;
  out.channel_key_id = record.channel_key_id;
  out.price_version = static_cast<ledger::Id>(record.price_version);
  out.multiplier = record.multiplier;
  out.attempts = record.attempts;
  out.client_retry = record.client_retry;
  out.request_id = to_hex(record.request_id);
  out.client_address = address_text(record.client_address_kind, record.client_address);
  out.tags = text_of(record.tags);
  out.input = record.counts.input;
  out.cache_read = record.counts.cache_read;
  out.cache_write_short = record.counts.cache_write_short;
  out.cache_write_long = record.counts.cache_write_long;
  out.output = record.counts.output;
  out.reasoning = record.counts.reasoning;
  for (std::size_t i = 0; i < out.calls.size(); ++i) out.calls[i] = record.counts.calls[i];
  out.input_estimate = record.input_estimate;
  out.counted_output = record.counted_output;
  out.held = record.held;
  out.charged = record.charged;
  out.excess = record.excess;
  out.loss = record.loss;
  out.started_ns = record.started_at_ns;
  out.queue_ns = static_cast<TimeNs>(record.queue_ns);
  out.connect_ns = static_cast<TimeNs>(record.connect_ns);
  out.first_byte_ns = static_cast<TimeNs>(record.first_byte_ns);
  out.first_token_ns = static_cast<TimeNs>(record.first_token_ns);
  out.total_ns = static_cast<TimeNs>(record.total_ns);
  out.own_ns = static_cast<TimeNs>(record.own_ns);
  out.bytes_in = static_cast<std::int64_t>(record.bytes_in);
  out.bytes_out = static_cast<std::int64_t>(record.bytes_out);
  out.key_day = record.key_windows.day;
  out.key_month = record.key_windows.month;
  out.wallet_day = record.wallet_windows.day;
  out.wallet_month = record.wallet_windows.month;
  return out;
}

}  // namespace sluice::reconcile
