#include "sluice/dialect/token_classes.hpp"

#include "token_counter.hpp"

namespace sluice::dialect {
namespace {

/// Thousandths of a token for each class.
struct Weights {
  std::uint64_t word, letter, long_letter, inner_capital, digit_run, digit, symbol, space, newline, cjk, other,
      emoji;
};

const Weights& weights_of(Format format) {
  // Fitted to o200k_base on prose, code, JSON, base64 and CJK text, then rounded up (see README.md).
  static constexpr Weights kOpenai{720, 70, 250, 300, 200, 340, 640, 80, 620, 850, 700, 2400};
  // Claude's newer tokenizers make up to 1.4 times as many tokens of the same text (facts/wire §7).
  static constexpr Weights kClaude{950, 100, 300, 400, 250, 480, 850, 100, 800, 1210, 950, 2800};
  // Gemini splits numbers into single digits and has the largest vocabulary.
  static constexpr Weights kGemini{720, 70, 250, 300, 100, 1000, 640, 80, 620, 720, 700, 2400};
  switch (format) {
    case Format::claude: return kClaude;
    case Format::gemini: return kGemini;
    case Format::openai:
    case Format::responses: return kOpenai;
  }
  return kClaude;
}

}  // namespace

void TokenClasses::add_text(std::string_view text) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  for (const char* p = begin; p < end;) {
    const Block block = load_block(begin, p, end);
    count_block(*this, block, block.count);
    p += block.count;
  }
}

void TokenClasses::add_codepoint(std::uint32_t codepoint) {
  const std::uint32_t before = last_masks;
  last_masks = 0;
  if (codepoint >= 0x10000) {
    ++emoji;
  } else if (codepoint >= 0x3000) {
    codepoint < 0xe000 ? ++cjk : ++other;
  } else if (codepoint >= 0x80) {
    ++other;
  } else if ((codepoint | 0x20U) - 'a' < 26) {
    ++letters;
    if ((before & 0x80) == 0) {
      ++words;
    } else if (codepoint < 'a') {
      ++inner_capitals;
    }
    if ((before & kLastLetters) == kLastLetters) ++long_letters;
    last_masks = ((before & kLastLetters) >> 1) | 0x80;
    return;
  } else if (codepoint - '0' < 10) {
    ++digits;
    if ((before & kLastDigit) == 0) ++digit_runs;
    last_masks = kLastDigit;
  } else if (codepoint == ' ') {
    if ((before & kLastSpace) != 0) ++spaces;
    last_masks = kLastSpace;
  } else if (codepoint < 0x20) {
    ++newlines;
  } else {
    ++symbols;
  }
  // The letters of the last eight characters stay known: a run is only broken for its newest bit.
  last_masks |= (before & kLastLetters) >> 1;
}

Tokens estimate_tokens(Format format, const TokenClasses& classes) {
  const Weights& w = weights_of(format);
  const std::uint64_t thousandths =
      w.word * classes.words + w.letter * classes.letters + w.long_letter * classes.long_letters +
      w.inner_capital * classes.inner_capitals + w.digit_run * classes.digit_runs +
      w.digit * classes.digits + w.symbol * classes.symbols + w.space * classes.spaces +
      w.newline * classes.newlines + w.cjk * classes.cjk + w.other * classes.other +
      w.emoji * classes.emoji;
  return static_cast<Tokens>((thousandths + 999) / 1000);
}

}  // namespace sluice::dialect
