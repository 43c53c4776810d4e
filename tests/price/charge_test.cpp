#include "sluice/price/charge.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "rows.hpp"

namespace sluice::price {
namespace {

constexpr Nanos kIn = 4'000;  // of opus_row, a token
constexpr Nanos kOut = 20'000;
constexpr Nanos kHold = 1'000'000'000;
constexpr Nanos kNoExcess = 0;

Metered metered(UsageState state) {
  Metered m;
  m.input_estimate = 100;
  m.counted_output = 30;
  m.usage_state = state;
  if (state != UsageState::none) {
    m.usage.input = 90;
    m.usage.output = state == UsageState::final ? 40 : 3;
  }
  return m;
}

TEST(Charge, TableOfEnds) {
  struct Case {
    const char* name;
    End end;
    Phase phase;
    UsageState usage;
    Nanos nanos;
    std::uint32_t flags;
  };
  const Case cases[] = {
      {"refused before upstream", End::refused, Phase::reserved, UsageState::none, 0, kChargeVoid},
      {"every candidate failed", End::no_candidate, Phase::sent, UsageState::none, 0, kChargeVoid},
      {"finished with usage", End::finished, Phase::final, UsageState::final, 90 * kIn + 40 * kOut,
       0},
      {"finished without usage", End::finished, Phase::streaming, UsageState::none,
       100 * kIn + 30 * kOut, kChargeEstimated},
      {"finished, prompt side known", End::finished, Phase::streaming, UsageState::partial,
       90 * kIn + 30 * kOut, kChargeEstimated},
      {"left before anything was sent", End::client_left, Phase::reserved, UsageState::none, 0,
       kChargeVoid},
      {"left while sending", End::client_left, Phase::sending, UsageState::none, 0, kChargeVoid},
      {"left while waiting", End::client_left, Phase::sent, UsageState::none, 100 * kIn + 30 * kOut,
       kChargeEstimated},
      {"left in the stream", End::client_left, Phase::streaming, UsageState::partial,
       90 * kIn + 30 * kOut, kChargeEstimated},
      {"left, drained for usage", End::client_left, Phase::final, UsageState::final,
       90 * kIn + 40 * kOut, 0},
      {"broke before output", End::upstream_broke, Phase::sent, UsageState::none, 0, kChargeVoid},
      {"broke after output", End::upstream_broke, Phase::streaming, UsageState::none,
       100 * kIn + 30 * kOut, kChargeEstimated | kChargePartial},
      {"broke after usage", End::upstream_broke, Phase::final, UsageState::final,
       90 * kIn + 40 * kOut, kChargePartial},
      {"cut before it was sent", End::cut, Phase::sending, UsageState::none, 0, kChargeVoid},
      {"cut in the stream", End::cut, Phase::streaming, UsageState::none, 100 * kIn + 30 * kOut,
       kChargeEstimated},
      {"shard died, reserved", End::shard_died, Phase::reserved, UsageState::none, 0, kChargeVoid},
      {"shard died, sending", End::shard_died, Phase::sending, UsageState::none, 0, kChargeVoid},
      {"shard died, sent", End::shard_died, Phase::sent, UsageState::none, 100 * kIn,
       kChargeCrash | kChargeEstimated},
      {"shard died, streaming", End::shard_died, Phase::streaming, UsageState::none,
       100 * kIn + 30 * kOut, kChargeCrash | kChargeEstimated},
      {"shard died, final", End::shard_died, Phase::final, UsageState::final, 90 * kIn + 40 * kOut,
       0},
      {"expired", End::expired, Phase::streaming, UsageState::final, 0, kChargeVoid},
  };
  const PriceRow row = opus_row();
  for (const Case& c : cases) {
    const Charge result = charge(c.end, c.phase, metered(c.usage), &row, {}, kHold, kNoExcess);
    EXPECT_EQ(result.cost, c.nanos) << c.name;
    EXPECT_EQ(result.charged, c.nanos) << c.name;
    EXPECT_EQ(result.excess, 0) << c.name;
    EXPECT_EQ(result.flags, c.flags) << c.name;
  }
}

TEST(Charge, AboveTheHoldIsExcessAndAboveThatLoss) {
  const PriceRow row = opus_row();
  const Nanos cost = 90 * kIn + 40 * kOut;
  Charge result =
      charge(End::finished, Phase::final, metered(UsageState::final), &row, {}, cost - 1000, 300);
  EXPECT_EQ(result.charged, cost - 1000);
  EXPECT_EQ(result.excess, 300);
  EXPECT_EQ(result.loss, 700);
  EXPECT_EQ(result.flags, kChargeExcess | kChargeLoss);
  result =
      charge(End::finished, Phase::final, metered(UsageState::final), &row, {}, cost - 1000, 1000);
  EXPECT_EQ(result.loss, 0);
  EXPECT_EQ(result.flags, static_cast<std::uint32_t>(kChargeExcess));
}

TEST(Charge, AbsurdUsageIsClampedAndNeverACredit) {
  const PriceRow row = opus_row();
  for (const Tokens absurd :
       {Tokens{-1}, Tokens{-1'000'000'000}, std::numeric_limits<Tokens>::min(),
        std::numeric_limits<Tokens>::max(), kMaxTokens + 1}) {
    for (const bool in_output : {false, true}) {
      Metered m = metered(UsageState::final);
      (in_output ? m.usage.output : m.usage.input) = absurd;
      const Charge result = charge(End::finished, Phase::final, m, &row, {}, 5'000'000, 1'000);
      EXPECT_GE(result.charged, 0);
      EXPECT_LE(result.charged, 5'000'000);
      EXPECT_LE(result.charged + result.excess, 5'001'000);
      EXPECT_EQ(result.loss, 0) << "nobody lost what cannot be";
      EXPECT_NE(result.flags & kChargeClamped, 0U);
    }
  }
}

TEST(Charge, ALossThatNoRequestCanHaveIsAbsurdToo) {
  const PriceRow row = opus_row();
  Metered m = metered(UsageState::final);
  const Nanos million_tokens = row.base.output;
  m.usage = {};
  m.usage.output = 1'000'000 * (kMaxLoss / million_tokens);
  const Charge most = charge(End::finished, Phase::final, m, &row, {}, 0, 0);
  EXPECT_EQ(most.loss, kMaxLoss);
  EXPECT_EQ(most.flags, static_cast<std::uint32_t>(kChargeLoss));
  m.usage.output += 1;
  const Charge more = charge(End::finished, Phase::final, m, &row, {}, 500, 300);
  EXPECT_EQ(more.charged, 500);
  EXPECT_EQ(more.excess, 300);
  const Charge above = charge(End::finished, Phase::final, m, &row, {}, 0, 0);
  EXPECT_EQ(above.loss, 0);
  EXPECT_EQ(above.flags, static_cast<std::uint32_t>(kChargeClamped));
}

TEST(Charge, MissingPriceChargesTheHoldAndIsFlagged) {
  Charge result =
      charge(End::finished, Phase::final, metered(UsageState::final), nullptr, {}, kHold, 5);
  EXPECT_EQ(result.charged, kHold);
  EXPECT_EQ(result.excess, 0);
  EXPECT_EQ(result.flags, static_cast<std::uint32_t>(kChargePriceMissing));
  PriceRow row = opus_row();
  row.base.output = kNoPrice;
  result = charge(End::finished, Phase::final, metered(UsageState::final), &row, {}, kHold, 5);
  EXPECT_EQ(result.charged, kHold);
  EXPECT_NE(result.flags & kChargePriceMissing, 0U);
  result = charge(End::expired, Phase::sent, {}, nullptr, {}, kHold, 5);
  EXPECT_EQ(result.charged, 0) << "nothing to price";
}

TEST(Charge, OverflowEndsAtHoldAndExcess) {
  PriceRow row = row_of({kMaxRate, kMaxRate, kMaxRate, kMaxRate, kMaxRate, {}});
  Metered m = metered(UsageState::final);
  m.usage.input = kMaxTokens;
  Terms terms;
  terms.multiplier = kMaxMultiplier;
  const Charge result = charge(End::finished, Phase::final, m, &row, terms, kHold, 5);
  EXPECT_EQ(result.charged, kHold);
  EXPECT_EQ(result.excess, 5);
  EXPECT_EQ(result.loss, 0);
}

TEST(Charge, FreeModelsCostNothingAndAreNoVoid) {
  const PriceRow row = free_row();
  const Charge result =
      charge(End::finished, Phase::final, metered(UsageState::final), &row, {}, 0, 0);
  EXPECT_EQ(result.cost, 0);
  EXPECT_EQ(result.flags, 0U);
  EXPECT_EQ(result.billed.output, 40);
}

TEST(Charge, RequestFeeIsCountedOnce) {
  PriceRow row = opus_row();
  row.fees[0] = 777;
  const Charge result =
      charge(End::finished, Phase::final, metered(UsageState::final), &row, {}, kHold, 0);
  EXPECT_EQ(result.cost, 90 * kIn + 40 * kOut + 777);
  EXPECT_EQ(charge(End::no_candidate, Phase::sent, {}, &row, {}, kHold, 0).cost, 0);
}

TEST(Split, NeverNegative) {
  EXPECT_EQ(split(-5, 10, 10).cost, 0);
  EXPECT_EQ(split(5, -10, 10).charged, 0);
  EXPECT_EQ(split(5, -10, -1).loss, 5);
  const Charge most = split(std::numeric_limits<Nanos>::max(), 0, 0);
  EXPECT_EQ(most.loss, std::numeric_limits<Nanos>::max());
}

}  // namespace
}  // namespace sluice::price
