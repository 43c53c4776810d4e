// Units of the system. Amounts, counts and times are plain 64-bit integers whose unit stands in the
// name.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

/// Money: 10^-9 USD. Signed, so that differences are expressible; an amount that is moved is always
/// > 0.
using Nanos = std::int64_t;

/// Model tokens of one class (input, cache read, output …).
using Tokens = std::int64_t;

/// A time or a duration in nanoseconds; the name of the variable says of which clock.
using TimeNs = std::int64_t;

inline constexpr Nanos kNanosPerUsd = 1'000'000'000;
inline constexpr Tokens kTokensPerPriceUnit = 1'000'000;  ///< prices are nanos per million tokens

inline constexpr TimeNs kMicrosecond = 1'000;
inline constexpr TimeNs kMillisecond = 1'000'000;
inline constexpr TimeNs kSecond = 1'000'000'000;

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * 1024;

}  // namespace sluice
