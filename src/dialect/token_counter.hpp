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

/// Sixty-four bytes, as a Block: masks have a bit a byte.
struct LongBlock {
  __m256i low;
  __m256i high;

  explicit LongBlock(const char* p)
      : low(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))),
        high(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p) + 1)) {}

  /// Of what `compare` makes of 32 bytes.
  template <class Compare>
  [[nodiscard]] std::uint64_t mask_of(Compare compare) const {
    const auto of_low = static_cast<std::uint32_t>(_mm256_movemask_epi8(compare(low)));
    const auto of_high = static_cast<std::uint32_t>(_mm256_movemask_epi8(compare(high)));
    return std::uint64_t{of_high} << 32 | of_low;
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

/// Counts characters by class, a block at a time; last_masks is in its own form meanwhile.
class ClassCounter {
 public:
  explicit ClassCounter(TokenClasses& classes)
      : classes_(classes),
        letters_{.before = std::uint64_t{classes.last_masks & kLastLetters} << 56},
        digits_(last(kLastDigit)),
        spaces_(last(kLastSpace)),
        small_(last(kLastSmall)) {
    twos_.before = letters_.before & letters_.before << 1;
    fours_.before = twos_.before & twos_.before << 2;
  }
  ClassCounter(const ClassCounter&) = delete;
  ClassCounter& operator=(const ClassCounter&) = delete;
  [[gnu::always_inline]] ~ClassCounter() {
    classes_.last_masks = static_cast<std::uint32_t>(letters_.before >> 56) |
                          newest(digits_, kLastDigit) | newest(spaces_, kLastSpace) |
                          newest(small_, kLastSmall);
  }

  /// The first `size` characters of the block, at least 1. `controls`: those of them that are
  /// control characters.
  template <class AnyBlock>
  [[gnu::always_inline]] void add(const AnyBlock& block, unsigned size, std::uint64_t controls) {
    const std::uint64_t take = ~std::uint64_t{0} >> (64 - size);
    const auto sum = [take](std::uint32_t& into, std::uint64_t mask) {
      into += static_cast<std::uint32_t>(std::popcount(mask & take));
    };
    const auto between = [&block](unsigned char least, unsigned char most) {
      return block.mask_of([=](__m256i bytes) { return Block::between_of(bytes, least, most); });
    };
    letters_.now = block.mask_of([](__m256i bytes) {
      return Block::between_of(_mm256_or_si256(bytes, _mm256_set1_epi8(0x20)), 'a', 'z');
    });
    digits_.now = between('0', '9');
    spaces_.now = block.mask_of(
        [](__m256i bytes) { return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(' ')); });
    small_.now =
        letters_.now & block.mask_of([](__m256i bytes) { return _mm256_slli_epi16(bytes, 2); });
    const std::uint64_t high = block.mask_of([](__m256i bytes) { return bytes; }) & take;
    twos_.now = letters_.now & letters_.earlier(1);
    fours_.now = twos_.now & twos_.earlier(2);
    sum(classes_.words, letters_.now & ~letters_.earlier(1));
    sum(classes_.letters, letters_.now);
    sum(classes_.long_letters, fours_.now & fours_.earlier(4) & letters_.earlier(8));
    sum(classes_.inner_capitals, letters_.now & ~small_.now & small_.earlier(1));
    sum(classes_.digits, digits_.now);
    sum(classes_.digit_runs, digits_.now & ~digits_.earlier(1));
    sum(classes_.spaces, spaces_.now & spaces_.earlier(1));
    sum(classes_.newlines, controls);
    sum(classes_.symbols, ~(letters_.now | digits_.now | spaces_.now | high | controls));
    if (high != 0) {  // by their first byte: continuation bytes count nothing
      const std::uint64_t cjk = between(0xe3, 0xed);
      const std::uint64_t emoji = between(0xf0, 0xff);
      sum(classes_.cjk, cjk);
      sum(classes_.emoji, emoji);
      sum(classes_.other, between(0xc0, 0xff) & ~cjk & ~emoji);
    }
    for (CarriedMask* mask : {&letters_, &digits_, &spaces_, &small_, &twos_, &fours_}) {
      mask->advance(size);
    }
  }

 private:
  static constexpr std::uint64_t kNewest = std::uint64_t{1} << 63;
  [[nodiscard]] CarriedMask last(std::uint32_t bit) const {
    return {.before = (classes_.last_masks & bit) != 0 ? kNewest : 0};
  }
  static std::uint32_t newest(const CarriedMask& mask, std::uint32_t bit) {
    return (mask.before & kNewest) != 0 ? bit : 0;
  }

  TokenClasses& classes_;
  CarriedMask letters_;
  CarriedMask digits_;
  CarriedMask spaces_;
  CarriedMask small_;
  CarriedMask twos_;  ///< letters that end a run of two
  CarriedMask fours_;
};

/// Counts the first `size` characters of the block, 1 ≤ size ≤ block.count.
[[gnu::always_inline]] inline void count_block(TokenClasses& classes, const Block& block,
                                               unsigned size) {
  ClassCounter(classes).add(block, size, block.mask(block.at_most(0x1f)));
}

/// The same, 64 bytes at a time, while there are as many, up to the first special. Returns its
/// place, or where fewer than 64 bytes are left.
[[gnu::noinline]] inline const char* count_long(TokenClasses& classes, const char* p,
                                                const char* end) {
  ClassCounter counter(classes);
  std::uint64_t hits = 0;
  while (end - p >= 64 && hits == 0) {
    const LongBlock block(p);
    hits = block.specials();
    const auto size = static_cast<unsigned>(std::countr_zero(hits));  // 64 without one
    if (size == 0) break;
    counter.add(block, size, 0);
    p += size;
  }
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
