// Counts text by class and estimates its tokens, in constant memory: no tokenizer, no allocation.
// The result is meant to lie above the true count; the price module multiplies its own margin
// (design §12).
#pragma once

#include <cstdint>
#include <string_view>

#include "sluice/base/units.hpp"
#include "sluice/dialect/format.hpp"

namespace sluice::dialect {

/// Counts of characters by class. Text may come in pieces that are cut anywhere, inside UTF-8 too:
/// the result does not depend on the cuts.
struct TokenClasses {
  std::uint32_t words = 0;    ///< runs of ASCII letters
  std::uint32_t letters = 0;  ///< ASCII letters
  std::uint32_t long_letters =
      0;  ///< letters past the eighth of their run: long words are several tokens
  std::uint32_t inner_capitals = 0;  ///< capitals after a small letter: they split words
  std::uint32_t digit_runs = 0;
  std::uint32_t digits = 0;
  std::uint32_t symbols = 0;  ///< other printable ASCII
  std::uint32_t spaces = 0;  ///< U+0020 that follows a space: a single one belongs to the next word
  std::uint32_t newlines = 0;  ///< and other control characters
  std::uint32_t cjk = 0;       ///< U+3000 to U+DFFF: kana, Han, Hangul
  std::uint32_t other = 0;     ///< all other characters of two or three bytes
  std::uint32_t emoji = 0;     ///< characters of four bytes

  std::uint32_t last_masks = 0;  ///< carry: classes of the last characters (private to the counter)

  /// Counts a piece of UTF-8 text (raw, without JSON escapes).
  void add_text(std::string_view text);
  /// Counts one character.
  void add_codepoint(std::uint32_t codepoint);

  [[nodiscard]] bool empty() const {
    return (letters | digits | symbols | spaces | newlines | cjk | other | emoji) == 0 &&
           last_masks == 0;
  }
};

/// Tokens of the counted text under the tokenizers of a format's usual models, rounded up.
[[nodiscard]] Tokens estimate_tokens(Format format, const TokenClasses& classes);

}  // namespace sluice::dialect
