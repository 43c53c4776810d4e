#include "usage.hpp"

#include <algorithm>

namespace sluice::dialect {
namespace {

class Report {
 public:
  explicit Report(const RawUsage& raw) : raw_(raw) {}
  [[nodiscard]] bool has(UsageField field) const {
    return ((raw_.seen_mask >> static_cast<unsigned>(field)) & 1) != 0;
  }
  /// The value, 0 where it is missing.
  [[nodiscard]] Tokens get(UsageField field) const {
    return has(field) ? static_cast<Tokens>(raw_.values[static_cast<std::size_t>(field)]) : 0;
  }

 private:
  const RawUsage& raw_;
};

void doubt(Usage& usage) {
  usage.doubts =
      static_cast<std::uint16_t>(usage.doubts | static_cast<unsigned>(UsageDoubt::inconsistent));
}

/// Splits written cache tokens by lifetime; what no lifetime claims is short.
void split_writes(const Report& report, Usage& usage) {
  usage.cache_write_long = report.get(UsageField::cache_write_long);
  usage.cache_write_short = std::max(report.get(UsageField::cache_write_short),
                                     report.get(UsageField::cache_write) - usage.cache_write_long);
}

/// OpenAI's prompt includes what was read from and written to the cache.
void openai_input(const Report& report, Usage& usage) {
  const Tokens prompt = report.get(UsageField::prompt);
  const UsageField cached = report.has(UsageField::cache_hit)    ? UsageField::cache_hit
                            : report.has(UsageField::cached_top) ? UsageField::cached_top
                                                                 : UsageField::cached;
  usage.cache_read = report.get(cached);
  split_writes(report, usage);
  const Tokens inside = usage.cache_read + usage.cache_write_short + usage.cache_write_long;
  usage.input = prompt - inside;
  if (usage.input < 0) {
    // xAI has reported more cached tokens than prompt: then they come on top.
    usage.input = usage.cache_read > prompt ? prompt : 0;
    doubt(usage);
  }
  const Tokens miss = report.get(UsageField::cache_miss);
  if (report.has(UsageField::cache_miss) && miss != usage.input) {
    usage.input = std::max(miss, usage.input);
    doubt(usage);
  }
}

void openai_output(const Report& report, const Quirks& quirks, Usage& usage) {
  const Tokens completion = report.get(UsageField::completion);
  const Tokens prompt = report.get(UsageField::prompt);
  const Tokens total = report.get(UsageField::total);
  usage.reasoning = report.get(UsageField::reasoning);
  usage.output = completion;
  if (report.has(UsageField::total) && total < prompt + completion) doubt(usage);
  const bool outside = usage.reasoning > 0 && total - prompt - completion == usage.reasoning;
  if (quirks.reasoning_outside_completion || outside) usage.output += usage.reasoning;
}

void gemini(const Report& report, Usage& usage) {
  const Tokens prompt = report.get(UsageField::prompt);
  const Tokens tools = report.get(UsageField::tool_prompt);
  usage.cache_read = report.get(UsageField::cached);
  usage.input = prompt - usage.cache_read;
  if (usage.input < 0) {
    usage.input = 0;
    doubt(usage);
  }
  usage.input += tools;
  usage.reasoning = report.get(UsageField::reasoning);
  usage.output = report.get(UsageField::completion) + usage.reasoning;
  if (!report.has(UsageField::total)) return;
  const Tokens gap = report.get(UsageField::total) - prompt - tools - usage.output;
  if (gap != 0) doubt(usage);
  if (gap > 0 && !report.has(UsageField::reasoning))
    usage.output += gap;  // thoughts that were not named
}

}  // namespace

Usage normalise_usage(Format format, const RawUsage& raw, const Quirks& quirks) {
  const Report report(raw);
  Usage usage;
  usage.reported = raw.reported;
  usage.doubts = raw.doubts;
  usage.has_output = raw.final && report.has(UsageField::completion);
  usage.web_searches = report.get(UsageField::web_searches);
  usage.web_fetches = report.get(UsageField::web_fetches);
  switch (format) {
    case Format::openai:
      openai_input(report, usage);
      openai_output(report, quirks, usage);
      break;
    case Format::responses:
      openai_input(report, usage);
      usage.output = report.get(UsageField::completion);
      usage.reasoning = report.get(UsageField::reasoning);
      break;
    case Format::claude:
      usage.input = report.get(UsageField::prompt);
      usage.cache_read = report.get(UsageField::cached);
      split_writes(report, usage);
      usage.output = report.get(UsageField::completion);
      usage.reasoning = report.get(UsageField::reasoning);
      break;
    case Format::gemini:
      gemini(report, usage);
      usage.has_output = raw.final;  // a count that is missing is 0
      break;
  }
  return usage;
}

}  // namespace sluice::dialect
