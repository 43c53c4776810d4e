// What the formats share: texts, usage arithmetic, ids.
#include <fmt/format.h>

#include "formats.hpp"
#include "text.hpp"

namespace sluice::mock {

std::string whole_text(const Script& script) {
  std::string text;
  for (std::int32_t i = 0; i < script.behaviour.chunks && text.size() < kMaxWholeText; ++i) {
    text += script.chunk_text;
  }
  return text;
}

bool shows_usage(const Script& script) { return script.behaviour.usage != UsageMode::none; }

UsageTimes usage_times(UsageMode mode) {
  switch (mode) {
    case UsageMode::none:
      return {{1, 1}, 0};
    case UsageMode::twice:
      return {{1, 1}, 2};
    case UsageMode::shrinking:
      return {{2, 1}, 2};
    default:
      return {{1, 1}, 1};
  }
}

std::int64_t prompt_tokens(const Usage& usage) {
  return usage.input + usage.cache_read + usage.cache_write;
}

std::int64_t output_times(const Usage& usage, std::int64_t factor) {
  return factor == 1 ? usage.output
                     : usage.output * factor;  // an absurd output is only ever claimed once
}

std::int64_t total_tokens(std::int64_t prompt, std::int64_t output) {
  std::int64_t total = 0;
  return __builtin_add_overflow(prompt, output, &total) ? output : total;
}

void replace_marks(std::string& text, std::uint64_t id) {
  const std::string hex = fmt::format("{:016x}", id);
  for (std::size_t at = text.find(kIdMark); at != std::string::npos;
       at = text.find(kIdMark, at + 1)) {
    text.replace(at, hex.size(), hex);
  }
}

void append_with_id(std::string& out, std::string_view name, std::string data, std::uint64_t id) {
  replace_marks(data, id);
  append_event(out, name, data);
}

}  // namespace sluice::mock
