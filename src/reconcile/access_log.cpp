#include "access_log.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "convert.hpp"
#include "sluice/base/log.hpp"
#include "sluice/base/text_units.hpp"
#include "sluice/price/charge.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kDayNs = 86'400 * kSecond;

/// A JSON object that grows. Keys are ours and plain; values of people are escaped.
class JsonLine {
 public:
  void number(std::string_view key, std::int64_t value) {
    begin(key);
    fmt::format_to(std::back_inserter(out_), "{}", value);
  }
  void boolean(std::string_view key, bool value) {
    begin(key);
    out_ += value ? "true" : "false";
  }
  void text(std::string_view key, std::string_view value) {
    begin(key);
    quote(value);
  }
  void texts(std::string_view key, const std::vector<std::string_view>& values) {
    begin(key);
    out_ += '[';
    for (const std::string_view value : values) {
      if (out_.back() != '[') out_ += ',';
      quote(value);
    }
    out_ += ']';
  }
  std::string finish() {
    out_ += "}\n";
    return std::move(out_);
  }

 private:
  void begin(std::string_view key) {
    out_ += out_.empty() ? "{\"" : ",\"";
    out_ += key;
    out_ += "\":";
  }
  void quote(std::string_view value) {
    out_ += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (static_cast<unsigned char>(c) < ' ') {
        fmt::format_to(std::back_inserter(out_), "\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }
  std::string out_;
};

std::string_view end_name(std::int64_t end) {
  switch (static_cast<price::End>(end)) {
    case price::End::refused: return "refused";
    case price::End::no_candidate: return "no_candidate";
    case price::End::finished: return "finished";
    case price::End::client_left: return "client_left";
    case price::End::upstream_broke: return "upstream_broke";
    case price::End::cut: return "cut";
    case price::End::shard_died: return "shard_died";
    case price::End::expired: return "expired";
  }
  return "unknown";
}

std::vector<std::string_view> flag_names(std::int64_t flags) {
  constexpr std::pair<std::uint32_t, std::string_view> kNames[] = {
      {price::kChargeEstimated, "estimated"}, {price::kChargePartial, "partial"},
      {price::kChargeCrash, "crash"},         {price::kChargeClamped, "clamped"},
      {price::kChargeExcess, "excess"},       {price::kChargeLoss, "loss"},
      {price::kChargePriceMissing, "price_missing"}, {price::kChargeVoid, "void"},
      {price::kChargeLate, "late"},
  };
  std::vector<std::string_view> out;
  for (const auto& [bit, name] : kNames) {
    if ((static_cast<std::uint32_t>(flags) & bit) != 0) out.push_back(name);
  }
  return out;
}

std::string_view format_name(std::int64_t format) {
  constexpr std::string_view kNames[] = {"openai", "responses", "claude", "gemini"};
  return format >= 0 && format < 4 ? kNames[format] : "unknown";
}

}  // namespace

std::string usage_line(const ledger::UsageRow& row, std::uint32_t node, std::uint64_t epoch, const RecordNames& names) {
  JsonLine line;
  line.text("at", format_utc(row.started_ns));
  line.number("started_ns", row.started_ns);
  line.text("request_id", row.request_id);
  line.number("status", row.status);
  line.text("end", end_name(row.end));
  line.number("key_id", row.key_id);
  line.text("key", names.key(row.key_id));
  line.text("model", names.model(row.model_id));
  line.text("channel", names.channel(row.channel_id));
  line.number("channel_key_id", row.channel_key_id);
  line.text("format", format_name(row.format_in));
  line.text("upstream_format", format_name(row.format_out));
  line.boolean("stream", row.stream);
  line.number("attempts", row.attempts);
  line.number("client_retry", row.client_retry);
  line.number("input", row.input);
  line.number("cache_read", row.cache_read);
  line.number("cache_write_short", row.cache_write_short);
  line.number("cache_write_long", row.cache_write_long);
  line.number("output", row.output);
  line.number("reasoning", row.reasoning);
  line.number("input_estimate", row.input_estimate);
  line.number("counted_output", row.counted_output);
  line.number("held_nanos", row.held);
  line.number("charged_nanos", row.charged);
  line.number("excess_nanos", row.excess);
  line.number("loss_nanos", row.loss);
  line.number("price_version", row.price_version);
  line.texts("flags", flag_names(row.flags));
  if (row.error != 0) line.text("error", to_string(static_cast<Errc>(row.error)));
  line.number("queue_ns", row.queue_ns);
  line.number("connect_ns", row.connect_ns);
  line.number("first_byte_ns", row.first_byte_ns);
  line.number("first_token_ns", row.first_token_ns);
  line.number("total_ns", row.total_ns);
  line.number("own_ns", row.own_ns);
  line.number("bytes_in", row.bytes_in);
  line.number("bytes_out", row.bytes_out);
  if (!row.client_address.empty()) line.text("client", row.client_address);
  if (!row.tags.empty()) line.text("tags", row.tags);
  // Names the ledger's row; a line that is there twice after a crash has the same name.
  line.text("row", fmt::format("{}.{}.{}.{}", node, epoch, row.slot, row.seq));
  return line.finish();
}

std::string refused_line(const state::RefusedRecord& record, const RecordNames& names) {
  JsonLine line;
  line.text("at", format_utc(record.at_ns));
  line.number("started_ns", record.at_ns);
  line.text("request_id", to_hex(record.request_id));
  line.number("status", record.http_status);
  line.text("end", "refused");
  line.number("key_id", static_cast<std::int64_t>(record.key_id));
  line.text("key", names.key(static_cast<ledger::Id>(record.key_id)));
  const std::string asked = text_of(record.model_name);
  line.text("model", asked.empty() ? names.model(record.model_id) : asked);
  line.text("format", format_name(record.format_in));
  line.text("error", to_string(static_cast<Errc>(record.error)));
  if (record.limit != 0) line.text("limit", state::to_string(static_cast<state::Limit>(record.limit)));
  line.number("total_ns", static_cast<std::int64_t>(record.total_ns));
  line.number("bytes_in", record.bytes_in);
  const std::string client = address_text(record.address_kind, record.client_address);
  if (!client.empty()) line.text("client", client);
  return line.finish();
}

AccessLog::AccessLog(std::string directory, std::uint64_t bytes_most)
    : directory_(std::move(directory)), bytes_most_(bytes_most) {}

bool AccessLog::open_for(std::int64_t day) {
  if (file_ != nullptr && day == day_ && bytes_ < bytes_most_) return true;
  if (day != day_) part_ = 0;
  day_ = day;
  file_.reset();
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  for (;; ++part_) {
    const std::string path = fmt::format("{}/access-{}{}.jsonl", directory_, format_utc(day * kDayNs).substr(0, 10),
                                         part_ == 0 ? "" : fmt::format(".{}", part_));
    const std::uint64_t present = std::filesystem::exists(path, error) ? std::filesystem::file_size(path, error) : 0;
    if (present >= bytes_most_) continue;
    file_.reset(std::fopen(path.c_str(), "ae"));
    bytes_ = present;
    if (file_ != nullptr) return true;
    if (!complained_) log_line(LogLevel::error, "reconcile", path + ": " + std::strerror(errno) + ": access records are lost");
    complained_ = true;
    return false;
  }
}

void AccessLog::write(const std::string& line, TimeNs realtime_ns) {
  if (directory_.empty()) return;
  if (!open_for(realtime_ns / kDayNs) || std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size()) {
    ++lost_;
    return;
  }
  bytes_ += line.size();
}

void AccessLog::flush() {
  if (file_ == nullptr) return;
  if (std::fflush(file_.get()) == 0) {
    complained_ = false;
    return;
  }
  if (!complained_) log_line(LogLevel::error, "reconcile", std::string("access records: ") + std::strerror(errno));
  complained_ = true;
  std::clearerr(file_.get());
}

}  // namespace sluice::reconcile
