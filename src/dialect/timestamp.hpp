// A time as RFC 3339 writes it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::dialect {

/// "2026-11-22T03:18:59Z"; years 1970 to 9999.
class Timestamp {
 public:
  /// Seconds since 1970 UTC; below 0 is 0.
  explicit Timestamp(std::int64_t seconds);
  [[nodiscard]] std::string_view view() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, 20> text_;
};

}  // namespace sluice::dialect
