#include "sluice/price/estimate.hpp"

#include <gtest/gtest.h>

#include "rows.hpp"
#include "sluice/base/random.hpp"

namespace sluice::price {
namespace {

TEST(Estimate, MarginAppliesToTextAndNotToFlatTokens) {
  EstimateInput in;
  in.input_tokens = 1001;
  in.flat_tokens = 258;
  EXPECT_EQ(input_bound(opus_row(), in).value(), 1702 + 258);  // 1701.7 up
  in.whole_context = true;
  EXPECT_EQ(input_bound(opus_row(), in).value(), 1'000'000);
  EXPECT_EQ(input_bound(haiku_row(), in).error().code, Errc::not_found) << "context not known";
}

TEST(Estimate, TakesTheDearerOfInputAndTheWritesThatMayHappen) {
  EstimateInput in;
  in.input_tokens = 1000;
  in.output_tokens = 100;
  in.cache_writes = CacheWrites::none;
  EXPECT_EQ(estimate(opus_row(), in, {}).value(), 1700 * 4000 + 100 * 20000);
  in.cache_writes = CacheWrites::short_only;
  EXPECT_EQ(estimate(opus_row(), in, {}).value(), 1700 * 5000 + 100 * 20000);
  in.cache_writes = CacheWrites::any;
  EXPECT_EQ(estimate(opus_row(), in, {}).value(), 1700 * 8000 + 100 * 20000);
}

TEST(Estimate, ChoicesMultiplyOutputAndCallsAddFees) {
  EstimateInput in;
  in.output_tokens = 100;
  in.choices = 3;
  in.calls[static_cast<std::size_t>(Fee::web_search)] = 5;
  EXPECT_EQ(estimate(opus_row(), in, {}).value(), 300 * 20000 + 5 * 10'000'000);
  in.choices = 0;
  EXPECT_EQ(estimate(opus_row(), in, {}).error().code, Errc::bad_value);
}

TEST(Estimate, ReachesTheBandThatTheMarginMayReach) {
  EstimateInput in;
  in.cache_writes = CacheWrites::none;
  in.input_tokens = 76'923;  // × 1.3 = 99,999.9 → 100,000: still the low band
  EXPECT_EQ(estimate(haiku_row(), in, {}).value(), 100'000 * 100);
  in.input_tokens = 76'924;  // 100,001.2 → 100,002
  EXPECT_EQ(estimate(haiku_row(), in, {}).value(), 100'002 * 500);
}

TEST(Estimate, RequestFeeIsIncluded) {
  PriceRow row = opus_row();
  row.fees[0] = 12'345;
  EXPECT_EQ(estimate(row, {}, {}).value(), 12'345);
}

TEST(Estimate, IsAnUpperBoundOfEveryUsageWithinItsBounds) {
  SeededRng rng(42);
  const PriceRow rows[] = {opus_row(), haiku_row(), qwen_flash_row(), deepseek_row()};
  for (int round = 0; round < 20'000; ++round) {
    const PriceRow& row = rows[rng.next_u64() % 4];
    EstimateInput in;
    in.input_tokens = static_cast<Tokens>(rng.next_u64() % 300'000);
    in.output_tokens = static_cast<Tokens>(rng.next_u64() % 5'000);
    const Nanos hold = estimate(row, in, {}).value();
    TokenCounts counts;
    Tokens left = static_cast<Tokens>(rng.next_u64() %
                                      static_cast<std::uint64_t>(input_bound(row, in).value() + 1));
    const auto part = [&] {
      const auto taken = static_cast<Tokens>(rng.next_u64() % static_cast<std::uint64_t>(left + 1));
      left -= taken;
      return taken;
    };
    counts.input = part();
    counts.cache_read = part();
    counts.cache_write_short = part();
    counts.cache_write_long = left;
    counts.output =
        static_cast<Tokens>(rng.next_u64() % static_cast<std::uint64_t>(in.output_tokens + 1));
    ASSERT_LE(cost(row, counts, {}).value(), hold) << round;
  }
}

TEST(AffordableOutput, IsTheLargestThatTheBalancePays) {
  EstimateInput in;
  in.input_tokens = 1000;
  in.output_tokens = 100'000;
  SeededRng rng(7);
  for (int round = 0; round < 500; ++round) {
    const auto balance = static_cast<Nanos>(rng.next_u64() % 3'000'000'000);
    const Tokens tokens = affordable_output(opus_row(), in, {}, balance).value();
    EstimateInput least = in;
    least.output_tokens = tokens;
    if (tokens > 0) EXPECT_LE(estimate(opus_row(), least, {}).value(), balance);
    least.output_tokens = tokens + 1;
    if (tokens < in.output_tokens) EXPECT_GT(estimate(opus_row(), least, {}).value(), balance);
  }
  EXPECT_EQ(affordable_output(opus_row(), in, {}, 0).value(), 0);
  EXPECT_EQ(affordable_output(free_row(), in, {}, 0).value(), in.output_tokens);
}

TEST(Slices, FirstSliceIsTheLeastOfStandardCapAndModel) {
  const SliceRules rules;
  EXPECT_EQ(first_slice(rules, 0, 0), 1024);
  EXPECT_EQ(first_slice(rules, 300, 0), 300);
  EXPECT_EQ(first_slice(rules, 0, 200), 200);
  EXPECT_EQ(first_slice(rules, 5000, 4000), 1024);
}

TEST(Slices, ShrinkNearEmptyDownToTheFloor) {
  const SliceRules rules;
  const PriceRow row = opus_row();
  constexpr Nanos kToken = 20'000;
  struct Case {
    Tokens remaining;
    Nanos balance;
    Tokens tokens;
  };
  const Case cases[] = {
      {0, 1024 * kToken, 1024},  {0, 1024 * kToken - 1, 1023},
      {0, 64 * kToken, 64},      {0, 64 * kToken - 1, 0},
      {10, 64 * kToken, 10},     {10, 10 * kToken - 1, 0},
      {500, 1'000'000'000, 500}, {0, -5, 0},
  };
  for (const Case& c : cases) {
    const Slice slice = next_slice(row, rules, {}, 100, c.remaining, c.balance).value();
    EXPECT_EQ(slice.tokens, c.tokens) << c.remaining << " " << c.balance;
    EXPECT_EQ(slice.nanos, c.tokens * kToken);
  }
}

TEST(HiddenTokens, AccrueByTimeForModelsThatHideOutput) {
  PriceRow row = opus_row();
  EXPECT_EQ(hidden_tokens(row, kSecond), 0);
  row.flags |= kRowHiddenOutput;
  EXPECT_EQ(hidden_tokens(row, kSecond), 100);
  EXPECT_EQ(hidden_tokens(row, 1), 1) << "rounded up";
  EXPECT_EQ(hidden_tokens(row, -kSecond), 0);
  EXPECT_EQ(hidden_tokens(row, std::numeric_limits<TimeNs>::max()), kMaxTokens);
}

}  // namespace
}  // namespace sluice::price
