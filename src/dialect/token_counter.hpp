// The hot part of the class counter: 32 characters at a time by bit masks.
#pragma once

#include "simd_block.hpp"
#include "sluice/dialect/token_classes.hpp"

namespace sluice::dialect {

// TokenClasses::last_masks: bits 0 to 7 say which of the last eight characters were letters (bit 7
// the newest), bit 8 that the last was a digit, bit 9 that it was a space, bit 10 that it was a
// small letter.
inline constexpr std::uint32_t kLastLetters = 0xff;
inline constexpr std::uint32_t kLastDigit = 1U << 8;
inline constexpr std::uint32_t kLastSpace = 1U << 9;
inline constexpr std::uint32_t kLastSmall = 1U << 10;

inline std::uint32_t bits(std::uint32_t mask) {
  return static_cast<std::uint32_t>(std::popcount(mask));
}

/// Characters of two bytes and more, by their first byte: continuation bytes count nothing.
inline void count_non_ascii(TokenClasses& classes, const Block& block, std::uint32_t take) {
  const std::uint32_t cjk = block.mask(block.between(0xe3, 0xed)) & take;
  const std::uint32_t emoji = block.mask(block.between(0xf0, 0xff)) & take;
  const std::uint32_t leads = block.mask(block.between(0xc0, 0xff)) & take;
  classes.cjk += bits(cjk);
  classes.emoji += bits(emoji);
  classes.other += bits(leads & ~cjk & ~emoji);
}

/// Counts the first `size` characters of the block, 1 ≤ size ≤ block.count.
[[gnu::always_inline]] inline void count_block(TokenClasses& classes, const Block& block,
                                               unsigned size) {
  const std::uint32_t take = size == 32 ? ~0U : (1U << size) - 1;
  const __m256i folded = _mm256_or_si256(block.bytes, _mm256_set1_epi8(0x20));
  const std::uint32_t letters = block.mask(Block::between_of(folded, 'a', 'z')) & take;
  const std::uint32_t digits = block.mask(block.between('0', '9')) & take;
  const std::uint32_t spaces = block.mask(block.equal(' ')) & take;
  const std::uint32_t high = block.high_bits() & take;
  const std::uint32_t capitals = letters & ~block.mask(_mm256_slli_epi16(block.bytes, 2));
  const std::uint32_t controls = block.mask(block.at_most(0x1f)) & take;

  const std::uint64_t run = (std::uint64_t{letters} << 8) | (classes.last_masks & kLastLetters);
  const auto after_letter = static_cast<std::uint32_t>(run >> 7);
  const std::uint64_t run2 = run & (run << 1);
  const std::uint64_t run4 = run2 & (run2 << 2);
  const std::uint64_t run8 = run4 & (run4 << 4);
  const auto past_eighth = static_cast<std::uint32_t>((run8 & (run << 8)) >> 8);
  const std::uint64_t digit_run = (std::uint64_t{digits} << 1) | ((classes.last_masks >> 8) & 1);
  const std::uint64_t small_run =
      (std::uint64_t{letters & ~capitals} << 1) | ((classes.last_masks >> 10) & 1);
  const std::uint64_t space_run = (std::uint64_t{spaces} << 1) | ((classes.last_masks >> 9) & 1);

  classes.words += bits(letters & ~after_letter);
  classes.letters += bits(letters);
  classes.long_letters += bits(past_eighth);
  classes.inner_capitals += bits(capitals & static_cast<std::uint32_t>(small_run));
  classes.digits += bits(digits);
  classes.digit_runs += bits(digits & ~static_cast<std::uint32_t>(digit_run));
  classes.spaces += bits(spaces & static_cast<std::uint32_t>(space_run));
  classes.newlines += bits(controls);
  classes.symbols += bits(take & ~(letters | digits | spaces | high | controls));
  if (high != 0) count_non_ascii(classes, block, take);
  classes.last_masks = static_cast<std::uint32_t>(
      ((run >> size) & kLastLetters) | (((digit_run >> size) & 1) << 8) |
      (((space_run >> size) & 1) << 9) | (((small_run >> size) & 1) << 10));
}

/// Counts text up to the first quote, backslash or control character, and returns its place, or
/// `end`.
inline const char* count_until_special(TokenClasses& classes, const char* begin, const char* p,
                                       const char* end) {
  while (p < end) {
    const Block block = load_block(begin, p, end);
    const std::uint32_t hits = string_specials(block);
    const unsigned size = hits != 0 ? static_cast<unsigned>(std::countr_zero(hits)) : block.count;
    if (size != 0) count_block(classes, block, size);
    p += size;
    if (hits != 0) return p;
  }
  return end;
}

}  // namespace sluice::dialect
