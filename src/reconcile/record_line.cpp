#include "record_line.hpp"

#include <ctime>

#include "format_names.hpp"
#include "json_line.hpp"
#include "sluice/base/text_units.hpp"
#include "sluice/price/charge.hpp"
#include "sluice/state/routing.hpp"
#include "sluice/state/verbs.hpp"
#include "usage_rows.hpp"
#include "zone_file.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::string_view kEnds[] = {"refused",        "no_candidate", "finished",   "client_left",
                                      "upstream_broke", "cut",          "shard_died", "expired"};

void two_digits(char* out, std::int64_t value) {
  out[0] = static_cast<char>('0' + value / 10 % 10);
  out[1] = static_cast<char>('0' + value % 10);
}

/// "2026-11-22T03:18:59.123456Z"
void append_time(JsonLine& line, TimeNs realtime_ns) {
  const std::int64_t seconds = realtime_ns > 0 ? realtime_ns / kSecond : 0;
  const CivilDate date = date_of(seconds / 86'400);
  const std::int64_t of_day = seconds % 86'400;
  char text[] = "0000-00-00T00:00:00.000000Z";
  two_digits(text, date.year / 100);
  two_digits(text + 2, date.year % 100);
  two_digits(text + 5, date.month);
  two_digits(text + 8, date.day);
  two_digits(text + 11, of_day / 3600);
  two_digits(text + 14, of_day / 60 % 60);
  two_digits(text + 17, of_day % 60);
  const std::int64_t micros = realtime_ns > 0 ? realtime_ns % kSecond / kMicrosecond : 0;
  two_digits(text + 20, micros / 10'000);
  two_digits(text + 22, micros / 100 % 100);
  two_digits(text + 24, micros % 100);
  line.plain("time", {text, sizeof text - 1});
}

void append_id(JsonLine& line, const state::RequestId& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  char text[32];
  for (std::size_t i = 0; i < id.size(); ++i) {
    text[2 * i] = kDigits[id[i] >> 4];
    text[2 * i + 1] = kDigits[id[i] & 15];
  }
  line.plain("request_id", {text, sizeof text});
}

void append_flags(JsonLine& line, std::uint32_t flags) {
  const auto flag = [&](const auto& name, std::uint32_t bit) {
    if ((flags & bit) != 0) line.flag(name, true);
  };
  flag("estimated", price::kChargeEstimated);
  flag("partial", price::kChargePartial);
  flag("crash", price::kChargeCrash);
  flag("clamped", price::kChargeClamped);
  flag("price_missing", price::kChargePriceMissing);
  flag("void", price::kChargeVoid);
  flag("late", price::kChargeLate);
}

void append_tokens(JsonLine& line, const price::TokenCounts& counts) {
  line.number("input_tokens", counts.input);
  line.number("cache_read_tokens", counts.cache_read);
  line.number("cache_write_short_tokens", counts.cache_write_short);
  line.number("cache_write_long_tokens", counts.cache_write_long);
  line.number("output_tokens", counts.output);
  line.number("reasoning_tokens", counts.reasoning);
}

void append_times(JsonLine& line, const state::OutboxRecord& record) {
  const auto micros = [&](const auto& name, std::uint64_t ns) {
    if (ns != 0) line.number(name, static_cast<std::int64_t>(ns / 1000));
  };
  micros("queue_us", record.queue_ns);
  micros("connect_us", record.connect_ns);
  micros("first_byte_us", record.first_byte_ns);
  micros("first_token_us", record.first_token_ns);
  line.number("total_us", static_cast<std::int64_t>(record.total_ns / 1000));
  micros("own_cpu_us", record.own_ns);
}

/// "east:429:rate:120ms, west:0:broke:5000ms": the attempts that failed, by channel, status, fault
/// and time.
void append_failures(JsonLine& line, const state::OutboxRecord& record, const RecordNames& names) {
  if (record.failed.front().channel_id == 0) return;
  std::string text;
  Nanos cost = 0;
  for (const state::FailedAttempt& attempt : record.failed) {
    if (attempt.channel_id == 0) continue;
    text.append(text.empty() ? "" : ", ").append(names.channel(attempt.channel_id));
    text.append(":").append(std::to_string(attempt.status)).append(":");
    text.append(state::to_string(static_cast<state::Fault>(attempt.fault))).append(":");
    text.append(std::to_string(attempt.lasted_ms)).append("ms");
    cost += attempt.cost;
  }
  line.text("failed", text);
  line.number("failed_cost_nanos", cost);
}

void append_error(JsonLine& line, std::uint32_t error) {
  if (error != 0) line.plain("error", to_string(static_cast<Errc>(error)));
}

}  // namespace

const RecordNames::Key& RecordNames::key(std::uint64_t id) {
  const auto known = keys_.find(id);
  if (known != keys_.end()) return known->second;
  if (keys_.size() >= kMostKeys) keys_.clear();
  Key& names = keys_[id];
  if (id == 0) return names;
  if (const auto key = ledger_.keys().by_id(static_cast<ledger::Id>(id))) {
    names.key = key->name;
    if (const auto wallet = ledger_.customers().wallet(key->wallet_id)) {
      if (const auto customer = ledger_.customers().by_id(wallet->customer_id))
        names.customer = customer->name;
    }
  }
  return names;
}

void append_record(std::string& out, const state::OutboxRow& row, RecordNames& names) {
  const state::OutboxRecord& record = row.record;
  const RecordNames::Key& key = names.key(record.key_id);
  const auto end = static_cast<std::size_t>(record.end);
  JsonLine line(out);
  append_time(line, record.started_at_ns);
  append_id(line, record.request_id);
  line.text("key", key.key);
  line.text("customer", key.customer);
  line.text("model", names.model(record.model_id));
  line.text("channel", names.channel(record.channel_id));
  line.plain("format", format_name(record.format_in));
  line.flag("stream", record.stream != 0);
  line.number("status", record.http_status);
  line.plain("end", end < std::size(kEnds) ? kEnds[end] : "unknown");
  append_tokens(line, record.counts);
  line.number("charged_nanos", record.charged);
  line.number("excess_nanos", record.excess);
  line.number("held_nanos", record.held);
  append_flags(line, record.flags);
  append_times(line, record);
  line.number("attempts", record.attempts);
  line.plain("route", state::to_string(static_cast<state::RouteReason>(record.route_reason)));
  line.number("upstream_cost_nanos", record.upstream_cost);
  append_failures(line, record, names);
  line.number("bytes_in", static_cast<std::int64_t>(record.bytes_in));
  line.number("bytes_out", static_cast<std::int64_t>(record.bytes_out));
  if (const std::string_view tag = padded_text(record.tags); !tag.empty()) line.text("tags", tag);
  if (record.client_retry != 0) line.number("client_retry", record.client_retry);
  append_error(line, record.error);
  line.end();
}

void append_request(JsonLine& line, const ledger::UsageRow& row, const RecordNames& names) {
  const auto end = static_cast<std::size_t>(row.end);
  line.plain("object", "request");
  line.plain("id", row.request_id);
  append_time(line, row.started_ns);
  line.text("model", names.model(static_cast<std::uint32_t>(row.model_id)));
  line.number("status", row.status);
  line.flag("stream", row.stream);
  line.plain("end", end < std::size(kEnds) ? kEnds[end] : "unknown");
  line.number("input_tokens", row.input);
  line.number("cache_read_tokens", row.cache_read);
  line.number("cache_write_tokens", row.cache_write_short + row.cache_write_long);
  line.number("output_tokens", row.output);
  line.number("reasoning_tokens", row.reasoning);
  line.plain("cost_usd", format_usd(row.charged + row.excess));
  append_flags(line, static_cast<std::uint32_t>(row.flags));
  line.number("client_retry", row.client_retry);
  line.number("first_token_ms", row.first_token_ns / kMillisecond);
  line.number("total_ms", row.total_ns / kMillisecond);
  if (!row.tags.empty()) line.text("tags", row.tags);
}

void append_record(std::string& out, const state::RefusedRecord& record, RecordNames& names) {
  JsonLine line(out);
  append_time(line, record.at_ns);
  append_id(line, record.request_id);
  if (record.kind == state::RefusedKind::probe) {
    line.text("channel", names.channel(record.channel_id));
    line.number("status", record.http_status);
    line.plain("end", "probe");
    line.plain("fault", state::to_string(static_cast<state::Fault>(record.error)));
    line.number("total_us", static_cast<std::int64_t>(record.total_ns / 1000));
    line.number("upstream_cost_nanos", 0);
    line.end();
    return;
  }
  if (record.key_id != 0) {
    const RecordNames::Key& key = names.key(record.key_id);
    line.text("key", key.key);
    line.text("customer", key.customer);
  }
  const std::string_view known = names.model(record.model_id);
  line.text("model", known.empty() ? padded_text(record.model_name) : known);
  line.plain("format", format_name(record.format_in));
  line.number("status", record.http_status);
  line.plain("end", "refused");
  if (record.limit != 0)
    line.plain("limit", state::to_string(static_cast<state::Limit>(record.limit)));
  line.number("total_us", static_cast<std::int64_t>(record.total_ns / 1000));
  line.number("bytes_in", record.bytes_in);
  line.text("client", address_text(record.address_kind, record.client_address));
  append_error(line, record.error);
  line.end();
}

}  // namespace sluice::reconcile
