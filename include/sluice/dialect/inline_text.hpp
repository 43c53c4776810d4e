// Short text with its storage inside: names that outlive the buffer they were read from, without
// allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::dialect {

template <std::size_t Capacity>
class InlineText {
 public:
  InlineText() = default;

  /// Copies `text`; false (and unchanged) if it does not fit.
  bool assign(std::string_view text) {
    if (text.size() > Capacity) return false;
    std::memcpy(bytes_.data(), text.data(), text.size());
    size_ = static_cast<std::uint16_t>(text.size());
    return true;
  }
  /// Appends one byte; false if full.
  bool push_back(char byte) {
    if (size_ == Capacity) return false;
    bytes_[size_++] = byte;
    return true;
  }
  void clear() { size_ = 0; }
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static_assert(Capacity < 65536);
  std::uint16_t size_ = 0;
  std::array<char, Capacity> bytes_;
};

inline constexpr std::size_t kMaxModelName = 190;  ///< bytes; the longest known is below 100
using ModelName = InlineText<kMaxModelName>;

}  // namespace sluice::dialect
