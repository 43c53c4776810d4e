#include <benchmark/benchmark.h>

#include "sluice/price/charge.hpp"
#include "sluice/price/estimate.hpp"

namespace sluice::price {
namespace {

PriceRow row_with_bands() {
  PriceRow row;
  row.version = 1;
  row.base = {100'000'000, 10'000'000, 125'000'000, 200'000'000, 500'000'000, {}};
  row.bands[0] = {100'000,
                  {500'000'000, 50'000'000, 625'000'000, 1'000'000'000, 2'500'000'000, {}}};
  row.windows[0] = {2000, 60, 240, 31, {}};
  return row;
}

void BM_Cost(benchmark::State& state) {
  const PriceRow row = row_with_bands();
  TokenCounts counts;
  counts.input = 1'200;
  counts.cache_read = 10'000;
  counts.output = 350;
  Terms terms;
  terms.at_ns = 1'800'000'000 * kSecond;
  for (auto _ : state) {
    benchmark::DoNotOptimize(counts);
    benchmark::DoNotOptimize(cost(row, counts, terms));
  }
}
BENCHMARK(BM_Cost);

void BM_Estimate(benchmark::State& state) {
  const PriceRow row = row_with_bands();
  EstimateInput in;
  in.input_tokens = state.range(0);
  in.output_tokens = 1024;
  const Terms terms;
  for (auto _ : state) {
    benchmark::DoNotOptimize(in);
    benchmark::DoNotOptimize(estimate(row, in, terms));
  }
}
BENCHMARK(BM_Estimate)->Arg(1'000)->Arg(100'000);

void BM_Charge(benchmark::State& state) {
  const PriceRow row = row_with_bands();
  Metered metered;
  metered.usage_state = UsageState::final;
  metered.usage.input = 1'200;
  metered.usage.output = 350;
  for (auto _ : state) {
    benchmark::DoNotOptimize(metered);
    benchmark::DoNotOptimize(charge(End::finished, Phase::final, metered, &row, {}, 1'000'000, 0));
  }
}
BENCHMARK(BM_Charge);

}  // namespace
}  // namespace sluice::price

BENCHMARK_MAIN();
