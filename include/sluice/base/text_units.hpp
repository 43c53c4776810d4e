// Durations, sizes and money as people write them, exactly: no floating point anywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/base/units.hpp"

namespace sluice {

/// "5s", "20ms", "1h", "30d", "100us" → nanoseconds; 0 to 100 years. "0" needs no unit.
[[nodiscard]] std::optional<TimeNs> parse_duration(std::string_view text);

/// "32MiB", "16KiB", "2GiB", "512" (bytes) → bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// "10", "10.5", "0.000000001", "10 USD" → Nanos, not negative. More than nine decimals is nothing:
/// it would round.
[[nodiscard]] std::optional<Nanos> parse_usd(std::string_view text);

/// The largest unit that divides it: "20ms", "1h"; "0".
[[nodiscard]] std::string format_duration(TimeNs duration_ns);
/// "16KiB", "32MiB", "512".
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// Nanos as "10.50" or "0.000001234": at least two decimals, no trailing zeros beyond them, '-' in
/// front.
[[nodiscard]] std::string format_usd(Nanos amount);

/// Nanoseconds since 1970 as "2026-11-22T03:18:59Z" (UTC, seconds).
[[nodiscard]] std::string format_utc(TimeNs realtime_ns);

/// "2026-11-22" or "2026-11-22T03:18:59Z" → nanoseconds since 1970 UTC.
[[nodiscard]] std::optional<TimeNs> parse_utc(std::string_view text);

}  // namespace sluice
