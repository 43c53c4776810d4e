// What real models cost, worked out by hand from the provider's lists: rate × tokens ÷ 10^6, the
// terms in the order of the usage. Each pair shows the two sides of a border.
#include "presets_fixture.hpp"

#include "sluice/price/cost.hpp"

namespace sluice::presets {
namespace {

constexpr TimeNs at(std::int64_t seconds) { return seconds * kSecond; }
constexpr TimeNs kMonday0230 = at(1'796'005'800);    // 2026-11-30 02:30 UTC
constexpr TimeNs kMonday0959 = at(1'796'032'740);    // 09:59
constexpr TimeNs kMonday0500 = at(1'796'014'800);    // 05:00
constexpr TimeNs kMonday1000 = at(1'796'032'800);    // 10:00
constexpr TimeNs kSaturday0230 = at(1'796'437'800);  // 2026-12-05
constexpr TimeNs kNewYear0230 = at(1'798'770'600);   // 2027-01-01, a Friday

struct Worked {
  std::string_view model;
  price::TokenCounts usage;
  Nanos nanos;
  TimeNs at_ns = kMonday0500;
};

TEST_F(PresetsTest, TenModelsCostWhatTheirListsSay) {
  price::TokenCounts searched{.input = 1'200,
                              .cache_read = 48'000,
                              .cache_write_short = 3'000,
                              .cache_write_long = 2'000,
                              .output = 1'500};
  searched.calls[static_cast<std::size_t>(price::Fee::web_search)] = 3;
  const Worked examples[] = {
      // 100,000 × 1 + 150,000 × 0.05 + 20,000 × 1.25 + 4,000 × 5 = 0.1525 USD
      {"gpt-6.1-terra",
       {.input = 100'000, .cache_read = 150'000, .cache_write_short = 20'000, .output = 4'000},
       152'500'000},
      // 273,000 prompt tokens, all of it at the higher rate: × 2 + 1,000 × 7.5 = 0.5535 USD
      {"gpt-6.1-terra", {.input = 273'000, .output = 1'000}, 553'500'000},
      // 1,200 × 4 + 48,000 × 0.2 + 3,000 × 5 + 2,000 × 8 + 1,500 × 20 + 3 × 10,000 = 105,400 µUSD
      {"claude-opus-5-5", searched, 105'400'000},
      // Exactly 100,000: 20,000 × 0.10 + 80,000 × 0.01 + 2,000 × 0.50 = 3,800 µUSD
      {"claude-haiku-5-5", {.input = 20'000, .cache_read = 80'000, .output = 2'000}, 3'800'000},
      // One more: 20,001 × 0.50 + 80,000 × 0.05 + 2,000 × 2.50 = 19,000.5 µUSD
      {"claude-haiku-5-5", {.input = 20'001, .cache_read = 80'000, .output = 2'000}, 19'000'500},
      // 50,001 × 4 + 150,000 × 0.4 + 10,000 × 18 (thoughts are output) = 440,004 µUSD
      {"gemini-3.1-pro-preview",
       {.input = 50'001, .cache_read = 150'000, .output = 10'000},
       440'004'000},
      // From 200,000 on: 120,000 × 4 + 80,000 × 1 + 3,500 × 12 = 602,000 µUSD
      {"grok-4.7", {.input = 120'000, .cache_read = 80'000, .output = 3'500}, 602'000'000},
      // 199,999: 119,999 × 2 + 80,000 × 0.5 + 3,500 × 6 = 300,998 µUSD
      {"grok-4.7", {.input = 119'999, .cache_read = 80'000, .output = 3'500}, 300'998'000},
      // 7,777 × 0.7 + 2,223 × 0.07 + 333 × 2.1 = 5,443.9 + 155.61 + 699.3 = 6,298.81 µUSD
      {"mistral-large-4", {.input = 7'777, .cache_read = 2'223, .output = 333}, 6'298'810},
      // 32,000 × 0.03 + 500 × 0.13 = 1,025 µUSD; 32,001 × 0.10 + 500 × 0.40 = 3,400.1 µUSD
      {"qwen3.7-flash", {.input = 32'000, .output = 500}, 1'025'000},
      {"qwen3.7-flash", {.input = 32'001, .output = 500}, 3'400'100},
      // Off-peak 10,000 × 0.15 + 40,000 × 0.003 + 2,000 × 0.60 = 2,820 µUSD; peak is twice that
      {"deepseek-flash", {.input = 10'000, .cache_read = 40'000, .output = 2'000}, 2'820'000},
      {"deepseek-flash",
       {.input = 10'000, .cache_read = 40'000, .output = 2'000},
       5'640'000,
       kMonday0230},
      // 1,000 × 2 + 90,000 × 0.2 + 5,000 × 2 + 4,000 × 4 + 8,000 × 10 = 126,000 µUSD
      {"kimi-k3.1-pro",
       {.input = 1'000,
        .cache_read = 90'000,
        .cache_write_short = 5'000,
        .cache_write_long = 4'000,
        .output = 8'000},
       126'000'000},
      // 12,345 × 1.4 + 6,789 × 0.26 + 4,321 × 4.4 = 17,283 + 1,765.14 + 19,012.4 = 38,060.54 µUSD
      {"glm-5.3", {.input = 12'345, .cache_read = 6'789, .output = 4'321}, 38'060'540},
      // One of each: 0.3 + 0.06 + 0.375 + 1.2 = 1.935 µUSD
      {"MiniMax-M2.7", {.input = 1, .cache_read = 1, .cache_write_short = 1, .output = 1}, 1'935},
  };
  apply_all();
  const auto built = catalog();
  ASSERT_NE(built, nullptr);
  for (const Worked& example : examples) {
    const state::ModelEntry* model = built->find_model(example.model);
    ASSERT_NE(model, nullptr) << example.model;
    const price::PriceRow* row = built->price_of(*model, example.at_ns);
    ASSERT_NE(row, nullptr) << example.model;
    EXPECT_EQ(price::cost(*row, example.usage, {.at_ns = example.at_ns}).value_or(-1),
              example.nanos)
        << example.model;
  }
}

// 09:00 to 12:00 and 14:00 to 18:00 in Beijing on working days; the rest is half.
TEST_F(PresetsTest, PeakHoursOfDeepSeekAreThoseOfBeijing) {
  apply_all();
  const auto built = catalog();
  ASSERT_NE(built, nullptr);
  const price::PriceRow* row = built->price_of(*built->find_model("deepseek-v4-pro"), kNow);
  ASSERT_NE(row, nullptr);
  const price::TokenCounts usage{.input = 1'000'000, .output = 1'000'000};
  const auto cost = [&](TimeNs at_ns) {
    return price::cost(*row, usage, {.at_ns = at_ns}).value_or(-1);
  };
  EXPECT_EQ(cost(kMonday0230), 5'280'000'000);  // 1.32 + 3.96
  EXPECT_EQ(cost(kMonday0500), 2'640'000'000);  // lunch
  EXPECT_EQ(cost(kMonday0959), 5'280'000'000);
  EXPECT_EQ(cost(kMonday1000), 2'640'000'000);
  EXPECT_EQ(cost(kSaturday0230), 2'640'000'000);
  EXPECT_EQ(cost(kNewYear0230), 2'640'000'000);
}

}  // namespace
}  // namespace sluice::presets
