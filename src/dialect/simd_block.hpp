// Thirty-two bytes at a time, without ever reading outside of the window that the caller may read.
#pragma once

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice::dialect {

/// Up to 32 bytes in front of `p`. Masks made by mask() have one bit a byte, the first byte lowest,
/// and no bits past `count`.
struct Block {
  __m256i bytes;
  unsigned shift;       ///< bytes of the register that lie before p
  unsigned count;       ///< valid bytes, 1 to 32
  std::uint32_t valid;  ///< bits of the valid bytes

  [[nodiscard]] std::uint32_t mask(__m256i compared) const {
    return (static_cast<std::uint32_t>(_mm256_movemask_epi8(compared)) >> shift) & valid;
  }
  /// Of what `compare` makes of the bytes.
  template <class Compare>
  [[nodiscard]] std::uint32_t mask_of(Compare compare) const {
    return mask(compare(bytes));
  }
  [[nodiscard]] __m256i equal(char c) const {
    return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(c));
  }
  /// Bytes that are, unsigned, at most `limit`.
  [[nodiscard]] __m256i at_most(unsigned char limit) const {
    const __m256i bound = _mm256_set1_epi8(static_cast<char>(limit));
    return _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, bound), bytes);
  }
  /// Bytes from `low` to `high`, inclusive, unsigned.
  [[nodiscard]] __m256i between(unsigned char low, unsigned char high) const {
    return between_of(bytes, low, high);
  }
  static __m256i between_of(__m256i v, unsigned char low, unsigned char high) {
    const __m256i moved = _mm256_sub_epi8(v, _mm256_set1_epi8(static_cast<char>(low)));
    const __m256i bound = _mm256_set1_epi8(static_cast<char>(high - low));
    return _mm256_cmpeq_epi8(_mm256_min_epu8(moved, bound), moved);
  }
};

/// The same for the last bytes of a window: its last 32 bytes are loaded and the masks shifted, so
/// that nothing past the end is read; a copy only for windows below 32 bytes. Not inline: rare, and
/// its array would cost every caller.
[[gnu::noinline]] inline Block load_last_block(const char* begin, const char* p, const char* end) {
  const auto count = static_cast<unsigned>(end - p);
  const std::uint32_t valid = (1U << count) - 1;
  if (end - begin >= 32) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(end - 32)), 32 - count, count,
            valid};
  }
  alignas(32) char copy[32];
  std::memset(copy, ' ', sizeof copy);
  std::memcpy(copy, p, count);
  return {_mm256_load_si256(reinterpret_cast<const __m256i*>(copy)), 0, count, valid};
}

/// Bytes from `p` on, `p` < `end`; `begin` ≤ `p` is the start of what may be read.
[[gnu::always_inline]] inline Block load_block(const char* begin, const char* p, const char* end) {
  if (end - p >= 32) [[likely]] {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), 0, 32, ~0U};
  }
  return load_last_block(begin, p, end);
}

/// Quotes, backslashes and control characters.
[[gnu::always_inline]] inline std::uint32_t string_specials(const Block& block) {
  return block.mask(
      _mm256_or_si256(_mm256_or_si256(block.equal('"'), block.equal('\\')), block.at_most(0x1f)));
}

/// The first quote, backslash or control character from `p` on, or `end`.
inline const char* find_string_special(const char* begin, const char* p, const char* end) {
  while (p < end) {
    const Block block = load_block(begin, p, end);
    const std::uint32_t hits = string_specials(block);
    if (hits != 0) return p + std::countr_zero(hits);
    p += block.count;
  }
  return end;
}

/// The first CR or LF from `p` on, or `end`.
inline const char* find_line_end(const char* begin, const char* p, const char* end) {
  for (; end - p >= 64; p += 64) {
    const Block one = load_block(begin, p, end);
    const Block two = load_block(begin, p + 32, end);
    const __m256i hit_one = _mm256_or_si256(one.equal('\n'), one.equal('\r'));
    const __m256i hit_two = _mm256_or_si256(two.equal('\n'), two.equal('\r'));
    if (_mm256_testz_si256(_mm256_or_si256(hit_one, hit_two), _mm256_set1_epi8(-1)) == 0) {
      const std::uint64_t hits = one.mask(hit_one) | (std::uint64_t{two.mask(hit_two)} << 32);
      return p + std::countr_zero(hits);
    }
  }
  while (p < end) {
    const Block block = load_block(begin, p, end);
    const std::uint32_t hits = block.mask(_mm256_or_si256(block.equal('\n'), block.equal('\r')));
    if (hits != 0) return p + std::countr_zero(hits);
    p += block.count;
  }
  return end;
}

}  // namespace sluice::dialect
