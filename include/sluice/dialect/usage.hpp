// Token usage as every provider reports it, in one normal form (facts/wire §5.1). Bills are made
// from this.
#pragma once

#include <cstdint>

#include "sluice/base/units.hpp"

namespace sluice::dialect {

/// Doubts about reported usage. A doubtful value is clamped to [0, kMaxReportedTokens], never a
/// credit.
enum class UsageDoubt : std::uint16_t {
  negative = 1 << 0,
  absurd = 1 << 1,        ///< above kMaxReportedTokens
  not_integer = 1 << 2,   ///< a fraction or an exponent
  not_number = 1 << 3,    ///< a string, a boolean …
  shrank = 1 << 4,        ///< a later report is smaller than an earlier one
  inconsistent = 1 << 5,  ///< cached above prompt, total below its parts …
  repeated = 1 << 6,      ///< reported again after the stream's end
};

inline constexpr Tokens kMaxReportedTokens = 1'000'000'000;

/// Usage of one exchange. All counts ≥ 0. Input classes are disjoint: the prompt is their sum.
struct Usage {
  bool reported = false;  ///< the provider reported usage (explicit zeroes count)
  bool has_output =
      false;  ///< the report named output tokens (a cut Claude stream's does only roughly)
  std::uint16_t doubts = 0;  ///< bits of UsageDoubt
  Tokens input = 0;          ///< not cached, with Gemini's tool-use prompt
  Tokens cache_read = 0;
  Tokens cache_write_short = 0;  ///< 5 or 30 minutes
  Tokens cache_write_long = 0;   ///< 1 or 12 hours
  Tokens output = 0;             ///< with reasoning
  Tokens reasoning = 0;          ///< information: part of output
  Tokens web_searches = 0;       ///< calls of server tools, billed a call
  Tokens web_fetches = 0;

  [[nodiscard]] Tokens prompt() const {
    return input + cache_read + cache_write_short + cache_write_long;
  }
  [[nodiscard]] bool has(UsageDoubt bit) const {
    return (doubts & static_cast<std::uint16_t>(bit)) != 0;
  }
};

/// How a provider departs from its format.
struct Quirks {
  /// xAI Chat: completion_tokens does not include reasoning tokens. Without the flag it is still
  /// recognised where total_tokens − prompt − completion equals the reasoning tokens exactly.
  bool reasoning_outside_completion = false;
};

}  // namespace sluice::dialect
