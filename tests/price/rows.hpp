// Price rows of real models (list prices of November 2026), for worked examples.
#pragma once

#include "sluice/price/row.hpp"

namespace sluice::price {

/// USD a million tokens, in thousandths of a dollar, as nanos.
constexpr Nanos milli_usd(Nanos thousandths) { return thousandths * (kNanosPerUsd / 1000); }

inline Rates rates_of(Nanos input, Nanos read, Nanos write_short, Nanos write_long, Nanos output) {
  Rates rates;
  rates.input = milli_usd(input);
  rates.cache_read = milli_usd(read);
  rates.cache_write_short = milli_usd(write_short);
  rates.cache_write_long = milli_usd(write_long);
  rates.output = milli_usd(output);
  return rates;
}

inline PriceRow row_of(Rates base) {
  PriceRow row;
  row.version = 7;
  row.base = base;
  return row;
}

/// 4 / 0.2 / 5 (1 h: 8) / 20.
inline PriceRow opus_row() {
  PriceRow row = row_of(rates_of(4000, 200, 5000, 8000, 20000));
  row.input_margin = 1700;
  row.context_tokens = 1'000'000;
  row.max_output_tokens = 128'000;
  row.fees[static_cast<std::size_t>(Fee::web_search)] = milli_usd(10);
  return row;
}

/// Up to 100 K prompt tokens 0.10 / 0.01 / 0.125 (0.20) / 0.50, above it five times that on every
/// token.
inline PriceRow haiku_row() {
  PriceRow row = row_of(rates_of(100, 10, 125, 200, 500));
  row.bands[0] = {100'000, rates_of(500, 50, 625, 1000, 2500)};
  return row;
}

/// Three tiers by prompt: ≤ 32 K, ≤ 256 K, above.
inline PriceRow qwen_flash_row() {
  PriceRow row = row_of(rates_of(30, 3, 38, 38, 130));
  row.bands[0] = {32'000, rates_of(100, 10, 125, 125, 400)};
  row.bands[1] = {256'000, rates_of(200, 20, 250, 250, 800)};
  return row;
}

/// Peak price with an off-peak half outside of Monday to Friday 01–04 and 06–10 UTC: the base is
/// off-peak.
inline PriceRow deepseek_row() {
  PriceRow row = row_of(rates_of(150, 3, 150, 150, 600));
  row.windows[0] = {2000, 60, 240, 0b0011111, {}};
  row.windows[1] = {2000, 360, 600, 0b0011111, {}};
  row.holidays[0] = 20'728;  // 2026-10-02, a Friday
  return row;
}

inline PriceRow free_row() {
  PriceRow row = row_of(rates_of(0, 0, 0, 0, 0));
  row.flags = kRowFree;
  return row;
}

}  // namespace sluice::price
