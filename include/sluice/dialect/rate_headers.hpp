// What a client is told of its rate limits, in the words of its format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/base/units.hpp"
#include "sluice/dialect/format.hpp"

namespace sluice::dialect {

struct RateBucket {
  std::uint64_t limit = 0;  ///< a minute; 0 = there is none
  std::uint64_t remaining = 0;
  TimeNs reset_ns = 0;  ///< from now until it is full again
};

struct RateLimits {
  RateBucket requests;
  RateBucket tokens;
  [[nodiscard]] bool any() const { return requests.limit != 0 || tokens.limit != 0; }
};

inline constexpr std::size_t kRateHeaderBytes = 512;  ///< always suffices

/// Writes the header lines, each ended by CRLF, and returns their length; 0 where there is no limit
/// or `out` is too small. OpenAI: x-ratelimit-{limit,remaining,reset}-{requests,tokens}, resets as
/// durations ("1.2s", "6m0s"). Claude:
/// anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}, resets as times. Gemini has no
/// such headers: its clients read RetryInfo in the error (render_error).
[[nodiscard]] std::size_t render_rate_headers(Format format, const RateLimits& limits,
                                              TimeNs realtime_ns, std::span<char> out);

}  // namespace sluice::dialect
