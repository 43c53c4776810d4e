#include "recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "text.hpp"

namespace sluice::mock {
namespace {

constexpr std::size_t kMaxModels = 100'000;

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return out;
}

void append_usage(std::string& out, const Usage& usage) {
  fmt::format_to(std::back_inserter(out),
                 R"({{"input":{},"cache_read":{},"cache_write":{},"output":{},"reasoning":{}}})",
                 usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning);
}

void append_totals(std::string& out, const ModelTotals& totals) {
  fmt::format_to(std::back_inserter(out),
                 R"({{"requests":{},"complete":{},"aborted":{},"failed":{},"chunks":{},"claimed":)",
                 totals.requests, totals.complete, totals.aborted, totals.failed, totals.chunks);
  append_usage(out, totals.claimed);
  out += '}';
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  fmt::format_to(std::back_inserter(out), R"(,"{}":")", name);
  append_escaped(out, text);
  out += '"';
}

void append_record(std::string& out, const Record& r) {
  fmt::format_to(std::back_inserter(out),
                 R"({{"number":{},"connection":{},"on_connection":{},"call":"{}","stream":{},)"
                 R"("include_usage":{},)"
                 R"("usage_sent":{},"status":{},"end":"{}")",
                 r.number, r.connection, r.on_connection, to_string(r.call), r.stream,
                 r.include_usage, r.usage_sent, r.status, to_string(r.end));
  append_member(out, "method", r.method);
  append_member(out, "target", r.target);
  append_member(out, "model", r.model);
  append_member(out, "credential", r.credential);
  if (!r.head.empty()) append_member(out, "head", r.head);
  if (!r.body.empty()) append_member(out, "body_base64", base64(r.body));
  fmt::format_to(
      std::back_inserter(out),
      R"(,"body_bytes":{},"body_crc32c":{},"chunks_sent":{},"received_ns":{},"answered_ns":{},)"
      R"("ended_ns":{},"gone_ns":{},"usage":)",
      r.body_bytes, r.body_crc32c, r.chunks_sent, r.received_ns, r.answered_ns, r.ended_ns,
      r.gone_ns);
  append_usage(out, r.usage);
  out += '}';
}

/// Sums of claims that are absurd on purpose may not overflow.
void add(std::int64_t& sum, std::int64_t value) {
  if (__builtin_add_overflow(sum, value, &sum)) sum = value > 0 ? INT64_MAX : INT64_MIN;
}

void add(ModelTotals& totals, const Record& record) {
  ++totals.requests;
  totals.chunks += static_cast<std::uint64_t>(record.chunks_sent);
  if (record.end == End::complete) {
    ++totals.complete;
  } else if (record.end == End::aborted) {
    ++totals.aborted;
  } else {
    ++totals.failed;
  }
  if (!record.usage_sent) return;
  add(totals.claimed.input, record.usage.input);
  add(totals.claimed.cache_read, record.usage.cache_read);
  add(totals.claimed.cache_write, record.usage.cache_write);
  add(totals.claimed.output, record.usage.output);
  add(totals.claimed.reasoning, record.usage.reasoning);
}

}  // namespace

std::string_view to_string(End end) {
  constexpr std::array<std::string_view, 6> kNames = {"complete", "aborted", "request_cut",
                                                      "cut",      "error",   "refused"};
  return kNames[static_cast<std::size_t>(end)];
}

Recorder::Recorder(Keep keep) : keep_(std::move(keep)) {
  if (!keep_.log_file.empty()) log_ = std::fopen(keep_.log_file.c_str(), "ae");
}

Recorder::~Recorder() {
  if (log_ != nullptr) std::fclose(log_);
}

void Recorder::ended(Record&& record) {
  if (open_ > 0) --open_;
  add(totals_, record);
  const auto known = models_.find(record.model);
  if (known != models_.end()) {
    add(known->second, record);
  } else if (models_.size() < kMaxModels) {
    add(models_[record.model], record);
  }
  if (log_ != nullptr) log(record);
  if (keep_.records == 0) return;
  if (records_.size() == keep_.records) records_.pop_front();
  records_.push_back(std::move(record));
}

void Recorder::log(const Record& record) {
  std::string line;
  append_record(line, record);
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), log_);
}

void Recorder::flush_log() {
  if (log_ != nullptr) std::fflush(log_);
}

void Recorder::reset() {
  totals_ = {};
  models_.clear();
  records_.clear();
}

std::string Recorder::to_json(std::uint64_t since, std::size_t limit, std::size_t held) const {
  std::string out =
      fmt::format(R"({{"open":{},"held":{},"last_number":{},"totals":)", open_, held, last_number_);
  append_totals(out, totals_);
  out += R"(,"models":{)";
  bool first = true;
  for (const auto& [name, totals] : models_) {
    if (!first) out += ',';
    first = false;
    out += '"';
    append_escaped(out, name);
    out += "\":";
    append_totals(out, totals);
  }
  out += R"(},"records":[)";
  const std::size_t skip = records_.size() - std::min(limit, records_.size());
  first = true;
  for (std::size_t i = skip; i < records_.size(); ++i) {
    if (records_[i].number <= since) continue;
    if (!first) out += ',';
    first = false;
    append_record(out, records_[i]);
  }
  out += "]}\n";
  return out;
}

}  // namespace sluice::mock
