#include "sluice/dialect/token_classes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "token_counter.hpp"

namespace sluice::dialect {
namespace {

TokenClasses classes_of(std::string_view text) {
  TokenClasses classes;
  classes.add_text(text);
  return classes;
}

auto fields(const TokenClasses& c) {
  return std::tuple(c.words, c.letters, c.long_letters, c.inner_capitals, c.digit_runs, c.digits,
                    c.symbols, c.spaces, c.newlines, c.cjk, c.other, c.emoji);
}

TEST(TokenClasses, CountsByClass) {
  const TokenClasses c = classes_of("Hello wonderfulWorld, 12 345!\n\t  x 你好é🙂");
  EXPECT_EQ(c.words, 3U);
  EXPECT_EQ(c.letters, 20U);
  EXPECT_EQ(c.long_letters, 6U);
  EXPECT_EQ(c.inner_capitals, 1U);
  EXPECT_EQ(c.digit_runs, 2U);
  EXPECT_EQ(c.digits, 5U);
  EXPECT_EQ(c.symbols, 2U);
  EXPECT_EQ(c.newlines, 2U);
  EXPECT_EQ(c.spaces, 1U);
  EXPECT_EQ(c.cjk, 2U);
  EXPECT_EQ(c.other, 1U);
  EXPECT_EQ(c.emoji, 1U);
  EXPECT_TRUE(TokenClasses{}.empty());
  EXPECT_FALSE(classes_of(" ").empty());
}

TEST(TokenClasses, DoesNotDependOnCuts) {
  std::mt19937 random(3);
  std::string text;
  const std::string_view pieces[] = {
      "word", "LongerIdentifierName", " ", "  ", "12345", "\n", "你", "é", "🙂", "{}", "a"};
  for (int i = 0; i < 300; ++i) text += pieces[random() % std::size(pieces)];
  const auto whole = fields(classes_of(text));
  for (int round = 0; round < 200; ++round) {
    TokenClasses cut;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + random() % (round == 0 ? 1 : 70);
      cut.add_text(std::string_view(text).substr(at, size));
      at += size;
    }
    ASSERT_EQ(fields(cut), whole);
  }
}

// Long text is counted 64 bytes at a time up to what ends it, short text 32 at a time.
TEST(TokenClasses, LongTextCountsAsItsShortPieces) {
  std::mt19937 random(7);
  const std::string_view pieces[] = {"word", "LongerIdentifierName", "camelCaseThing", " ",  "  ",
                                     "123",  "CAPITALS",             "你",             "é",  "🙂",
                                     "{}",   "a",                    "Z",              "9a", "_"};
  for (int round = 0; round < 400; ++round) {
    std::string text;
    const std::size_t most = 1 + random() % 900;
    while (text.size() < most) text += pieces[random() % std::size(pieces)];
    const std::size_t stop = round % 3 == 0 ? text.size() : random() % text.size();
    if (stop < text.size()) text[stop] = "\"\\\n"[random() % 3];
    const std::string before = std::string(random() % 12, "aB 7"[random() % 4]);
    TokenClasses whole = classes_of(before);
    TokenClasses cut = whole;
    const char* const end = text.data() + text.size();
    ASSERT_EQ(count_until_special(whole, text.data(), text.data(), end), text.data() + stop);
    for (std::size_t at = 0; at < stop;) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 40, stop - at);
      cut.add_text(std::string_view(text).substr(at, size));
      at += size;
    }
    ASSERT_EQ(fields(whole), fields(cut)) << text;
    ASSERT_EQ(whole.last_masks, cut.last_masks);
  }
}

TEST(TokenClasses, CountsCodepointsAsText) {
  const std::u32string text = U"Hello wonderfulWorld, 12  345!\n x 你好é🙂 Zz9";
  const std::string utf8 = "Hello wonderfulWorld, 12  345!\n x 你好é🙂 Zz9";
  TokenClasses one_by_one;
  for (const char32_t c : text) one_by_one.add_codepoint(c);
  EXPECT_EQ(fields(one_by_one), fields(classes_of(utf8)));
}

TEST(TokenEstimate, LiesAboveKnownCounts) {
  // Counts of the o200k_base tokenizer.
  struct Known {
    std::string_view text;
    Tokens tokens;
  };
  const Known known[] = {
      {"Hello, world!", 4},
      {"The quick brown fox jumps over the lazy dog.", 10},
      {"你好，世界", 3},
      {"1234567890", 4},
  };
  for (const Known& k : known) {
    const Tokens estimate = estimate_tokens(Format::openai, classes_of(k.text));
    EXPECT_GE(estimate, k.tokens) << k.text;
    EXPECT_LE(estimate, 2 * k.tokens + 2) << k.text;
    EXPECT_GE(estimate_tokens(Format::claude, classes_of(k.text)), estimate) << k.text;
  }
  EXPECT_EQ(estimate_tokens(Format::openai, TokenClasses{}), 0);
}

}  // namespace
}  // namespace sluice::dialect
