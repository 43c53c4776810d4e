#include "json_writer.hpp"

#include <charconv>

namespace sluice::dialect {

std::size_t utf8_sequence(std::string_view text) {
  const auto at = [text](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned lead = at(0);
  if (text.empty()) return 0;
  if (lead < 0x80) return 1;
  // Well-formed sequences, Unicode table 3-7.
  const std::size_t size = lead >= 0xc2 && lead < 0xe0   ? 2
                           : lead >= 0xe0 && lead < 0xf0 ? 3
                           : lead >= 0xf0 && lead < 0xf5 ? 4
                                                         : 0;
  if (size == 0) return 0;
  const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (at(1) < low || at(1) > high) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if (at(i) < 0x80 || at(i) > 0xbf) return 0;
  }
  return size;
}

JsonWriter& JsonWriter::escaped(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t size = utf8_sequence(text);
    if (size == 0) {
      raw("\\ufffd");
    } else if (c == '"' || c == '\\') {
      const char pair[2] = {'\\', c};
      raw({pair, 2});
    } else if (size == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)) {
      const char escape[6] = {'\\',        'u', '0', '0', kHex[static_cast<unsigned char>(c) >> 4],
                              kHex[c & 15]};
      raw({escape, 6});
    } else {
      raw(text.substr(0, size));
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return *this;
}

JsonWriter& JsonWriter::number(long long value) {
  char digits[24];
  const char* const end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  return raw({digits, static_cast<std::size_t>(end - digits)});
}

}  // namespace sluice::dialect
