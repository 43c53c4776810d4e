// Names of the wire formats by their number in records. The numbers are those of dialect::Format,
// which this module may not see; a test compares them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::reconcile {

inline constexpr std::array<std::string_view, 4> kFormatNames{"openai", "responses", "claude",
                                                              "gemini"};

[[nodiscard]] constexpr std::optional<std::uint8_t> format_number(std::string_view name) {
  for (std::uint8_t i = 0; i < kFormatNames.size(); ++i) {
    if (kFormatNames[i] == name) return i;
  }
  return std::nullopt;
}

[[nodiscard]] constexpr std::string_view format_name(std::uint8_t number) {
  return number < kFormatNames.size() ? kFormatNames[number] : std::string_view("unknown");
}

}  // namespace sluice::reconcile
