#include "span_text.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "format_names.hpp"
#include "json_line.hpp"
#include "usage_rows.hpp"

namespace sluice::reconcile {
namespace {

constexpr int kClient = 3;       // SPAN_KIND_CLIENT
constexpr int kStatusError = 2;  // STATUS_CODE_ERROR

/// Attributes as OTLP has them: a list of keys with typed values. 64-bit integers are strings
/// (protobuf's JSON mapping).
class Attributes {
 public:
  explicit Attributes(std::string& out) : out_(out) {}
  void text(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    open(key);
    out_ += R"("stringValue":")";
    append_escaped(out_, value);
    out_ += "\"}}";
  }
  void number(std::string_view key, std::int64_t value) {
    open(key);
    out_ += R"("intValue":")" + std::to_string(value) + "\"}}";
  }
  void flag(std::string_view key, bool value) {
    open(key);
    out_ += R"("boolValue":)";
    out_ += value ? "true}}" : "false}}";
  }

 private:
  void open(std::string_view key) {
    if (!first_) out_ += ',';
    first_ = false;
    out_.append(R"({"key":")").append(key).append(R"(","value":{)");
  }
  std::string& out_;
  bool first_ = true;
};

/// Where the record does not say: what is asked for most in its format.
std::string_view operation_name(const state::OutboxRecord& record) {
  const std::string_view name = to_string(record.work);
  if (!name.empty()) return name;
  return format_name(record.format_in) == "gemini" ? "generate_content" : "chat";
}

void append_attributes(std::string& out, const SpanFacts& facts) {
  const state::OutboxRecord& record = facts.record;
  const price::TokenCounts& counts = record.counts;
  Attributes add(out);
  add.text("gen_ai.operation.name", operation_name(record));
  add.text("gen_ai.provider.name", provider_name(facts.provider));
  add.text("gen_ai.request.model", facts.model);
  add.flag("gen_ai.request.stream", record.stream != 0);
  add.number("gen_ai.usage.input_tokens", counts.prompt());
  add.number("gen_ai.usage.output_tokens", counts.output);
  add.number("gen_ai.usage.cache_read.input_tokens", counts.cache_read);
  add.number("gen_ai.usage.cache_creation.input_tokens",
             counts.cache_write_short + counts.cache_write_long);
  add.number("gen_ai.usage.reasoning.output_tokens", counts.reasoning);
  if (record.http_status != 0) add.number("http.response.status_code", record.http_status);
  if (record.error != 0) {
    add.text("error.type", to_string(static_cast<Errc>(record.error)));
  } else if (record.http_status >= 400) {
    add.text("error.type", std::to_string(record.http_status));
  }
  add.text("sluice.channel", facts.channel);
  add.text("sluice.key", facts.key);
  add.text("sluice.customer", facts.customer);
  add.text("sluice.tag", padded_text(record.tags));
  add.number("sluice.attempts", record.attempts);
  add.number("sluice.charged_nanos", record.charged + record.excess);
  if (record.first_token_ns != 0)
    add.number("sluice.first_token_ns", static_cast<std::int64_t>(record.first_token_ns));
}

void append_span(std::string& out, const SpanFacts& facts) {
  const state::OutboxRecord& record = facts.record;
  const TimeNs end_ns = record.started_at_ns + static_cast<TimeNs>(record.total_ns);
  out += R"({"traceId":")" + hex(record.request_id);
  out += R"(","spanId":")" + hex(std::span(record.request_id).subspan(8));
  out += R"(","name":")";
  out += operation_name(record);
  if (!facts.model.empty()) out += ' ';
  append_escaped(out, facts.model);
  out += R"(","kind":)" + std::to_string(kClient);
  out += R"(,"startTimeUnixNano":")" + std::to_string(record.started_at_ns);
  out += R"(","endTimeUnixNano":")" + std::to_string(end_ns) + R"(","attributes":[)";
  append_attributes(out, facts);
  out += "]";
  if (record.error != 0 || record.http_status >= 400)
    out += R"(,"status":{"code":)" + std::to_string(kStatusError) + "}";
  out += "}";
}

}  // namespace

std::string_view provider_name(std::string_view provider) {
  for (const std::string_view suffix : {"-claude", "-cn"}) {
    if (provider.ends_with(suffix)) provider.remove_suffix(suffix.size());
  }
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kNames{
      {{"gemini", "gcp.gemini"},
       {"xai", "x_ai"},
       {"mistral", "mistral_ai"},
       {"kimi", "moonshot_ai"}}};
  const auto known =
      std::ranges::find(kNames, provider, [](const auto& pair) { return pair.first; });
  return known == kNames.end() ? provider : known->second;
}

std::string spans_json(std::span<const SpanFacts> spans, std::uint32_t node) {
  std::string out = R"({"resourceSpans":[{"resource":{"attributes":[)";
  Attributes resource(out);
  resource.text("service.name", "sluice");
  resource.text("service.instance.id", "node-" + std::to_string(node));
  out += R"(]},"scopeSpans":[{"scope":{"name":"sluice.reconcile"},"spans":[)";
  bool first = true;
  for (const SpanFacts& span : spans) {
    if (!first) out += ',';
    first = false;
    append_span(out, span);
  }
  out += "]}]}]}";
  return out;
}

}  // namespace sluice::reconcile
