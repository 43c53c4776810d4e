#include "sluice/price/row.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "rows.hpp"

namespace sluice::price {
namespace {

TEST(PriceRow, AcceptsRealRows) {
  for (const PriceRow& row :
       {opus_row(), haiku_row(), qwen_flash_row(), deepseek_row(), free_row()}) {
    EXPECT_TRUE(validate(row)) << row.version;
  }
}

TEST(PriceRow, RefusesRowsThatCouldCostNothingByMistake) {
  struct Case {
    const char* name;
    std::function<void(PriceRow&)> spoil;
  };
  const Case cases[] = {
      {"no version", [](PriceRow& row) { row.version = 0; }},
      {"missing output price", [](PriceRow& row) { row.base.output = kNoPrice; }},
      {"missing cache price", [](PriceRow& row) { row.base.cache_read = kNoPrice; }},
      {"negative price", [](PriceRow& row) { row.base.input = -2; }},
      {"price above the limit", [](PriceRow& row) { row.base.input = kMaxRate + 1; }},
      {"all zero without saying so", [](PriceRow& row) { row.base = Rates{0, 0, 0, 0, 0, {}}; }},
      {"free but priced", [](PriceRow& row) { row.flags |= kRowFree; }},
      {"reserved class set", [](PriceRow& row) { row.base.reserved[1] = 1; }},
      {"band thresholds fall", [](PriceRow& row) { row.bands[1] = {50'000, row.base}; }},
      {"gap between bands", [](PriceRow& row) { row.bands[2] = {500'000, row.base}; }},
      {"band without price", [](PriceRow& row) { row.bands[1] = {500'000, Rates{}}; }},
      {"negative threshold", [](PriceRow& row) { row.bands[0].above_prompt_tokens = -1; }},
      {"window past midnight", [](PriceRow& row) { row.windows[0] = {2000, 1400, 1441, 1, {}}; }},
      {"window turned round", [](PriceRow& row) { row.windows[0] = {2000, 60, 60, 1, {}}; }},
      {"window on no day", [](PriceRow& row) { row.windows[0] = {2000, 0, 60, 0, {}}; }},
      {"window after an unused slot", [](PriceRow& row) { row.windows[1] = {2000, 0, 60, 1, {}}; }},
      {"window multiplier",
       [](PriceRow& row) { row.windows[0] = {kMaxMultiplier + 1, 0, 60, 1, {}}; }},
      {"standard tier missing", [](PriceRow& row) { row.tiers[0] = 0; }},
      {"tier multiplier", [](PriceRow& row) { row.tiers[1] = kMaxMultiplier + 1; }},
      {"negative fee", [](PriceRow& row) { row.fees[1] = -5; }},
      {"margin below one", [](PriceRow& row) { row.input_margin = 999; }},
      {"negative context", [](PriceRow& row) { row.context_tokens = -1; }},
  };
  for (const Case& c : cases) {
    PriceRow row = haiku_row();
    ASSERT_TRUE(validate(row));
    c.spoil(row);
    EXPECT_FALSE(validate(row)) << c.name;
  }
}

TEST(PriceRow, BandBeginsAboveItsThreshold) {
  const PriceRow row = qwen_flash_row();
  EXPECT_EQ(rates_for(row, 0).input, milli_usd(30));
  EXPECT_EQ(rates_for(row, 32'000).input, milli_usd(30));
  EXPECT_EQ(rates_for(row, 32'001).input, milli_usd(100));
  EXPECT_EQ(rates_for(row, 256'000).input, milli_usd(100));
  EXPECT_EQ(rates_for(row, 256'001).input, milli_usd(200));
}

TEST(PriceRow, WindowsAreJudgedByUtcWeekdayAndMinute) {
  const PriceRow row = deepseek_row();
  constexpr TimeNs kHour = 3600 * kSecond;
  constexpr TimeNs kDay = 24 * kHour;
  const TimeNs thursday = 20'727 * kDay;  // 2026-10-01
  EXPECT_EQ(window_multiplier(row, thursday + 1 * kHour - 1), kOne);
  EXPECT_EQ(window_multiplier(row, thursday + 1 * kHour), 2000U);
  EXPECT_EQ(window_multiplier(row, thursday + 4 * kHour - 1), 2000U);
  EXPECT_EQ(window_multiplier(row, thursday + 4 * kHour), kOne);
  EXPECT_EQ(window_multiplier(row, thursday + 7 * kHour), 2000U);
  EXPECT_EQ(window_multiplier(row, thursday + kDay + 7 * kHour), kOne) << "holiday";
  EXPECT_EQ(window_multiplier(row, thursday + 2 * kDay + 7 * kHour), kOne) << "Saturday";
  EXPECT_EQ(window_multiplier(row, thursday + 4 * kDay + 7 * kHour), 2000U) << "Monday";
  EXPECT_EQ(window_multiplier(row, -1), kOne);
}

}  // namespace
}  // namespace sluice::price
