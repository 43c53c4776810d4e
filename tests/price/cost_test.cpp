#include "sluice/price/cost.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "rows.hpp"

namespace sluice::price {
namespace {

TokenCounts counts_of(Tokens input, Tokens read, Tokens write_short, Tokens write_long,
                      Tokens output) {
  TokenCounts counts;
  counts.input = input;
  counts.cache_read = read;
  counts.cache_write_short = write_short;
  counts.cache_write_long = write_long;
  counts.output = output;
  return counts;
}

TEST(Cost, WorkedExamples) {
  struct Case {
    const char* name;
    PriceRow row;
    TokenCounts counts;
    Nanos nanos;
  };
  const Case cases[] = {
      {"nothing counted", opus_row(), {}, 0},
      {"one input token: 4 USD a million is 4000 nanos", opus_row(), counts_of(1, 0, 0, 0, 0),
       4000},
      {"every class once", opus_row(), counts_of(1, 1, 1, 1, 1), 4000 + 200 + 5000 + 8000 + 20000},
      {"a chat", opus_row(), counts_of(1200, 10'000, 500, 0, 350),
       4'800'000 + 2'000'000 + 2'500'000 + 7'000'000},
      {"rounds up once, not by class", row_of({1, 1, 1, 1, 1, {}}), counts_of(1, 1, 1, 1, 1), 1},
      {"just over a nano", row_of({1, 1, 1, 1, 1, {}}), counts_of(1'000'001, 0, 0, 0, 0), 2},
      {"band edge, low side", haiku_row(), counts_of(50'000, 50'000, 0, 0, 10),
       5'000'000 + 500'000 + 5'000},
      {"band edge, high side: the whole request", haiku_row(), counts_of(50'001, 50'000, 0, 0, 10),
       25'000'500 + 2'500'000 + 25'000},
      {"output does not choose the band", haiku_row(), counts_of(10, 0, 0, 0, 200'000),
       1'000 + 100'000'000},
      {"free", free_row(), counts_of(1'000'000, 0, 0, 0, 1'000'000), 0},
  };
  for (const Case& c : cases) {
    const Result<Nanos> nanos = cost(c.row, c.counts, {});
    ASSERT_TRUE(nanos) << c.name;
    EXPECT_EQ(*nanos, c.nanos) << c.name;
  }
}

TEST(Cost, FeesTakeTheGroupButNeitherWindowNorTier) {
  PriceRow row = deepseek_row();
  row.tiers[static_cast<std::size_t>(Tier::priority)] = 2000;
  row.fees[static_cast<std::size_t>(Fee::web_search)] = 10'000'000;
  TokenCounts counts = counts_of(1'000'000, 0, 0, 0, 0);
  counts.calls[static_cast<std::size_t>(Fee::web_search)] = 3;
  Terms terms;
  terms.at_ns = (20'727 * 24 + 2) * 3600 * kSecond;  // peak
  terms.tier = Tier::priority;
  terms.multiplier = 900;
  EXPECT_EQ(cost(row, counts, terms).value(), (150'000'000 * 4 + 30'000'000) / 10 * 9);
}

TEST(Cost, MissingPriceIsAnErrorNeverFree) {
  PriceRow row = opus_row();
  row.base.cache_write_long = kNoPrice;
  EXPECT_TRUE(cost(row, counts_of(1, 1, 1, 0, 1), {}));
  EXPECT_EQ(cost(row, counts_of(0, 0, 0, 1, 0), {}).error().code, Errc::not_found);
  TokenCounts calls;
  calls.calls[static_cast<std::size_t>(Fee::file_search)] = 1;
  EXPECT_EQ(cost(row, calls, {}).error().code, Errc::not_found);
  Terms flex;
  flex.tier = Tier::flex;
  EXPECT_EQ(cost(row, counts_of(1, 0, 0, 0, 0), flex).error().code, Errc::not_found);
}

TEST(Cost, RefusesImpossibleCountsAndMultipliers) {
  for (const Tokens bad : {Tokens{-1}, kMaxTokens + 1, std::numeric_limits<Tokens>::min(),
                           std::numeric_limits<Tokens>::max()}) {
    EXPECT_EQ(cost(opus_row(), counts_of(bad, 0, 0, 0, 0), {}).error().code, Errc::bad_value);
    EXPECT_EQ(cost(opus_row(), counts_of(0, 0, 0, 0, bad), {}).error().code, Errc::bad_value);
    EXPECT_EQ(output_cost(opus_row(), {}, 0, bad).error().code, Errc::bad_value);
  }
  for (const std::uint32_t bad : {0U, kMaxMultiplier + 1, ~0U}) {
    Terms terms;
    terms.multiplier = bad;
    EXPECT_EQ(cost(opus_row(), counts_of(1, 0, 0, 0, 0), terms).error().code, Errc::bad_value);
  }
}

TEST(Cost, OverflowIsAnError) {
  PriceRow row = row_of({kMaxRate, kMaxRate, kMaxRate, kMaxRate, kMaxRate, {}});
  // 10^9 tokens at 10^15 nanos a million are 10^18 nanos: fits. Five classes still do; ten times
  // does not.
  EXPECT_EQ(cost(row, counts_of(kMaxTokens, 0, 0, 0, 0), {}).value(), 1'000'000'000'000'000'000);
  EXPECT_EQ(
      cost(row, counts_of(kMaxTokens, kMaxTokens, kMaxTokens, kMaxTokens, kMaxTokens), {}).value(),
      5'000'000'000'000'000'000);
  Terms terms;
  terms.multiplier = 10'000;
  EXPECT_EQ(cost(row, counts_of(kMaxTokens, 0, 0, 0, 0), terms).error().code, Errc::too_large);
  row.tiers[1] = kMaxMultiplier;
  row.windows[0] = {kMaxMultiplier, 0, 1440, 127, {}};
  terms.tier = Tier::flex;
  terms.multiplier = kMaxMultiplier;
  EXPECT_EQ(cost(row, counts_of(kMaxTokens, kMaxTokens, kMaxTokens, kMaxTokens, kMaxTokens), terms)
                .error()
                .code,
            Errc::too_large)
      << "128 bits";
}

TEST(Cost, ClampCountsSaysWhetherItHadTo) {
  TokenCounts counts = counts_of(1, 2, 3, 4, 5);
  EXPECT_FALSE(clamp_counts(counts));
  counts.input = -7;
  counts.output = kMaxTokens + 5;
  counts.calls[1] = kMaxCalls + 1;
  EXPECT_TRUE(clamp_counts(counts));
  EXPECT_EQ(counts.input, 0);
  EXPECT_EQ(counts.output, kMaxTokens);
  EXPECT_EQ(counts.calls[1], kMaxCalls);
}

}  // namespace
}  // namespace sluice::price
