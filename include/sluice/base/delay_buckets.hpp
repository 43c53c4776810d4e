// Buckets of delays that operators watch: from what nobody notices to what somebody is called for.
#pragma once

#include <array>
#include <cstddef>

#include "sluice/base/units.hpp"

namespace sluice {

/// Upper bounds, inclusive; what is longer is in one bucket more.
inline constexpr std::array<TimeNs, 8> kDelayBoundsNs{
    100 * kMicrosecond, 250 * kMicrosecond, 500 * kMicrosecond, kMillisecond,
    2 * kMillisecond,   5 * kMillisecond,   10 * kMillisecond,  50 * kMillisecond};
inline constexpr std::size_t kDelayBuckets = kDelayBoundsNs.size() + 1;

[[nodiscard]] constexpr std::size_t delay_bucket(TimeNs delay_ns) {
  std::size_t bucket = 0;
  while (bucket < kDelayBoundsNs.size() && delay_ns > kDelayBoundsNs[bucket]) ++bucket;
  return bucket;
}

}  // namespace sluice
