// Byte classes and small text helpers of RFC 9110 §5.6.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::http {

inline char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Bit mask of what a byte may be.
enum ByteClass : std::uint8_t {
  kToken = 1,      ///< tchar (RFC 9110 §5.6.2)
  kFieldByte = 2,  ///< HTAB, SP, visible, obs-text
  kTargetByte =
      4,  ///< in a request target: RFC 3986 characters and "|", "[", "]", which clients send raw
  kHexDigit = 8,
};

constexpr std::array<std::uint8_t, 256> make_byte_classes() {
  std::array<std::uint8_t, 256> table{};
  constexpr std::string_view token_marks = "!#$%&'*+-.^_`|~";
  constexpr std::string_view not_in_target = "#\"<>\\^`{}";
  for (unsigned i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool digit = i >= '0' && i <= '9';
    const bool letter = (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
    const bool visible = i > 0x20 && i < 0x7f;
    unsigned classes = 0;
    if (digit || letter || (i != 0 && token_marks.contains(c))) classes |= kToken;
    if (visible || i == ' ' || i == '\t' || i >= 0x80) classes |= kFieldByte;
    if (visible && !not_in_target.contains(c)) classes |= kTargetByte;
    if (digit || (i >= 'a' && i <= 'f') || (i >= 'A' && i <= 'F')) classes |= kHexDigit;
    table[i] = static_cast<std::uint8_t>(classes);
  }
  return table;
}

inline constexpr std::array<std::uint8_t, 256> kByteClasses = make_byte_classes();

inline bool is_in(ByteClass byte_class, char c) {
  return (kByteClasses[static_cast<unsigned char>(c)] & byte_class) != 0;
}

inline bool all_in(ByteClass byte_class, std::string_view text) {
  std::uint8_t common = 0xff;
  for (const char c : text) common &= kByteClasses[static_cast<unsigned char>(c)];
  return (common & byte_class) != 0;
}

inline std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Walks a comma-separated list (RFC 9110 §5.6.1); empty elements are passed over.
class ListItems {
 public:
  explicit ListItems(std::string_view list) : rest_(list) {}

  bool next(std::string_view& item) {
    while (!rest_.empty()) {
      const std::size_t comma = rest_.find(',');
      item = trim(rest_.substr(0, comma));
      rest_ = comma == std::string_view::npos ? std::string_view{} : rest_.substr(comma + 1);
      if (!item.empty()) return true;
    }
    return false;
  }

 private:
  std::string_view rest_;
};

}  // namespace sluice::http
