// Small helpers on JSON strings: decoding escapes, writing them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::dialect {

/// Value of a hexadecimal digit, or −1.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Writes `codepoint` as UTF-8 (surrogates as they are asked for, three bytes); returns its length,
/// 1 to 4.
constexpr std::size_t encode_utf8(std::uint32_t codepoint, char* out) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  if (codepoint < 0x80) {
    out[0] = byte(codepoint);
    return 1;
  }
  if (codepoint < 0x800) {
    out[0] = byte(0xc0 | (codepoint >> 6));
    out[1] = byte(0x80 | (codepoint & 0x3f));
    return 2;
  }
  if (codepoint < 0x10000) {
    out[0] = byte(0xe0 | (codepoint >> 12));
    out[1] = byte(0x80 | ((codepoint >> 6) & 0x3f));
    out[2] = byte(0x80 | (codepoint & 0x3f));
    return 3;
  }
  out[0] = byte(0xf0 | (codepoint >> 18));
  out[1] = byte(0x80 | ((codepoint >> 12) & 0x3f));
  out[2] = byte(0x80 | ((codepoint >> 6) & 0x3f));
  out[3] = byte(0x80 | (codepoint & 0x3f));
  return 4;
}

/// The character of a one-letter escape (`n` gives LF), or −1. `u` is not one of them.
constexpr int simple_escape(char letter) {
  switch (letter) {
    case '"':
      return '"';
    case '\\':
      return '\\';
    case '/':
      return '/';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return -1;
  }
}

}  // namespace sluice::dialect
