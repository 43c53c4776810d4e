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

/// Sixty-four bytes: masks have a bit a byte.
struct LongBlock {
  __m256i low;
  __m256i high;

  explicit LongBlock(const char* p)
      : low(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))),
        high(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p) + 1)) {}

  template <class Compare>
  [[nodiscard]] std::uint64_t mask(Compare compare) const {
    const auto of_low = static_cast<std::uint32_t>(_mm256_movemask_epi8(compare(low)));
    const auto of_high = static_cast<std::uint32_t>(_mm256_movemask_epi8(compare(high)));
    return std::uint64_t{of_high} << 32 | of_low;
  }
  [[nodiscard]] std::uint64_t between(unsigned char least, unsigned char most) const {
    return mask([=](__m256i bytes) { return Block::between_of(bytes, least, most); });
  }
  [[nodiscard]] std::uint64_t specials() const {
    const std::uint32_t of_low = string_specials({low, 0, 32, ~0U});
    const std::uint32_t of_high = string_specials({high, 0, 32, ~0U});
    return std::uint64_t{of_high} << 32 | of_low;
  }
};

/// A mask of characters beside that of the 64 before them.
struct CarriedMask {
  std::uint64_t now = 0;
  std::uint64_t before = 0;

  /// The bits of the characters `by` places earlier, 1 to 63.
  [[nodiscard]] std::uint64_t earlier(unsigned by) const { return now << by | before >> (64 - by); }
  /// The first `size` characters, 1 to 64, become those before.
  void advance(unsigned size) {
    before = size == 64 ? now : now << (64 - size) | before >> size;
  }
};

/// What count_block() counts, 64 bytes at a time, while there are as many, up to the first special.
/// Returns its place, or where fewer than 64 bytes are left.
[[gnu::noinline]] inline const char* count_long(TokenClasses& classes, const char* p,
                                                const char* end) {
  const auto last = [&](std::uint32_t bit) {
    return CarriedMask{.before = (classes.last_masks & bit) != 0 ? std::uint64_t{1} << 63 : 0};
  };
  CarriedMask letters{.before = std::uint64_t{classes.last_masks & kLastLetters} << 56};
  CarriedMask digits = last(kLastDigit);
  CarriedMask spaces = last(kLastSpace);
  CarriedMask small = last(kLastSmall);
  // Letters that end a run of two, of four.
  CarriedMask twos{.before = letters.before & letters.before << 1};
  CarriedMask fours{.before = twos.before & twos.before << 2};
  std::uint64_t hits = 0;
  while (end - p >= 64 && hits == 0) {
    const LongBlock block(p);
    hits = block.specials();
    const auto size = static_cast<unsigned>(std::countr_zero(hits));  // 64 without one
    if (size == 0) break;
    const std::uint64_t take = ~std::uint64_t{0} >> (64 - size);
    const auto add = [&](std::uint32_t& sum, std::uint64_t mask) {
      sum += static_cast<std::uint32_t>(std::popcount(mask & take));
    };
    letters.now = block.mask([](__m256i bytes) {
      return Block::between_of(_mm256_or_si256(bytes, _mm256_set1_epi8(0x20)), 'a', 'z');
    });
    digits.now = block.between('0', '9');
    spaces.now = block.between(' ', ' ');
    small.now =
        letters.now & block.mask([](__m256i bytes) { return _mm256_slli_epi16(bytes, 2); });
    const std::uint64_t high = block.mask([](__m256i bytes) { return bytes; }) & take;
    twos.now = letters.now & letters.earlier(1);
    fours.now = twos.now & twos.earlier(2);
    add(classes.words, letters.now & ~letters.earlier(1));
    add(classes.letters, letters.now);
    add(classes.long_letters, fours.now & fours.earlier(4) & letters.earlier(8));
    add(classes.inner_capitals, letters.now & ~small.now & small.earlier(1));
    add(classes.digits, digits.now);
    add(classes.digit_runs, digits.now & ~digits.earlier(1));
    add(classes.spaces, spaces.now & spaces.earlier(1));
    add(classes.symbols, ~(letters.now | digits.now | spaces.now | high));
    if (high != 0) {
      const std::uint64_t cjk = block.between(0xe3, 0xed);
      const std::uint64_t emoji = block.between(0xf0, 0xff);
      add(classes.cjk, cjk);
      add(classes.emoji, emoji);
      add(classes.other, block.between(0xc0, 0xff) & ~cjk & ~emoji);
    }
    for (CarriedMask* mask : {&letters, &digits, &spaces, &small, &twos, &fours}) {
      mask->advance(size);
    }
    p += size;
  }
  constexpr std::uint64_t kNewest = std::uint64_t{1} << 63;
  classes.last_masks = static_cast<std::uint32_t>(letters.before >> 56) |
                       ((digits.before & kNewest) != 0 ? kLastDigit : 0) |
                       ((spaces.before & kNewest) != 0 ? kLastSpace : 0) |
                       ((small.before & kNewest) != 0 ? kLastSmall : 0);
  return p;
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
    if (end - p >= 64 && LongBlock(p).specials() == 0) p = count_long(classes, p, end);
  }
  return end;
}

}  // namespace sluice::dialect
