// Settings as text → values, each with the one line that says what is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/units.hpp"
#include "sluice/control/problem.hpp"

/// Hands a problem on to the caller.
#define CONTROL_TRY(expression) \
  if (auto outcome = (expression); !outcome) return std::unexpected(outcome.error())

namespace sluice::control {

/// USD above 0, or "none".
[[nodiscard]] Outcome<> read_budget(std::string_view field, const std::optional<std::string>& text,
                                    Nanos& out);
/// USD, 0 or more.
[[nodiscard]] Outcome<> read_usd(std::string_view field, const std::optional<std::string>& text,
                                 Nanos& out);
/// A count of [1, max], or "none".
[[nodiscard]] Outcome<> read_count(std::string_view field, const std::optional<std::string>& text,
                                   std::int64_t max, std::int64_t& out);
[[nodiscard]] Outcome<> read_zone(std::string_view field, const std::optional<std::string>& text,
                                  std::string& out);
/// A duration in whole milliseconds, at most 24 hours; "none" = 0.
[[nodiscard]] Outcome<> read_timeout_ms(std::string_view field,
                                        const std::optional<std::string>& text, std::int64_t& out);
/// An integer of [min, max].
[[nodiscard]] Outcome<> read_integer(std::string_view field,
                                     const std::optional<std::int64_t>& value, std::int64_t min,
                                     std::int64_t max, std::int64_t& out);
/// A comma-separated list of CIDRs, canonical.
[[nodiscard]] Outcome<> read_cidrs(std::string_view field, const std::optional<std::string>& text,
                                   std::string& out);
void read_flag(const std::optional<bool>& value, bool& out);

/// Comma-separated parts without surrounding blanks; empty parts are dropped.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text);
[[nodiscard]] std::string join_list(const std::vector<std::string>& parts);

}  // namespace sluice::control
