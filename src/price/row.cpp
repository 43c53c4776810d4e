#include "sluice/price/row.hpp"

#include <algorithm>

namespace sluice::price {
namespace {

constexpr TimeNs kDayNs = 86'400 * kSecond;
constexpr TimeNs kMinuteNs = 60 * kSecond;

bool rate_in_range(Nanos rate) { return rate >= 0 && rate <= kMaxRate; }

bool rates_valid(const Rates& rates) {
  return rate_in_range(rates.input) && rate_in_range(rates.cache_read) &&
         rate_in_range(rates.cache_write_short) && rate_in_range(rates.cache_write_long) &&
         rate_in_range(rates.output) &&
         std::ranges::all_of(rates.reserved, [](Nanos rate) { return rate == 0; });
}

bool all_zero(const Rates& rates) {
  return rates.input == 0 && rates.cache_read == 0 && rates.cache_write_short == 0 &&
         rates.cache_write_long == 0 && rates.output == 0;
}

bool window_valid(const Window& window) {
  if (window.multiplier == 0) return true;
  return window.multiplier <= kMaxMultiplier && window.start_minute < window.end_minute &&
         window.end_minute <= 1440 && window.weekdays != 0 && window.weekdays < 128;
}

/// Used slots come first: window_multiplier() looks no further than the first unused one.
bool windows_valid(const PriceRow& row) {
  bool ended = false;
  for (const Window& window : row.windows) {
    if (ended && window.multiplier != 0) return false;
    ended = window.multiplier == 0;
    if (!window_valid(window)) return false;
  }
  return true;
}

bool bands_valid(const PriceRow& row) {
  Tokens last = 0;
  bool ended = false;
  for (const Band& band : row.bands) {
    if (band.above_prompt_tokens == 0) {
      ended = true;
      continue;
    }
    if (ended || band.above_prompt_tokens <= last || band.above_prompt_tokens > kMaxTokens)
      return false;
    if (!rates_valid(band.rates)) return false;
    last = band.above_prompt_tokens;
  }
  return true;
}

/// A row that costs nothing in some band must say that it is free (or be priced by the call), and
/// one that says so must be it in all.
bool free_is_meant(const PriceRow& row) {
  const bool by_call = std::ranges::any_of(row.fees, [](Nanos fee) { return fee > 0; });
  if (row.free() && by_call) return false;
  const auto meant = [&](const Rates& rates) {
    return row.free() ? all_zero(rates) : by_call || !all_zero(rates);
  };
  for (const Band& band : row.bands) {
    if (band.above_prompt_tokens != 0 && !meant(band.rates)) return false;
  }
  return meant(row.base);
}

}  // namespace

Result<> validate(const PriceRow& row) {
  if (row.version == 0 || !rates_valid(row.base) || !bands_valid(row)) return fail(Errc::bad_value);
  if (!windows_valid(row) || row.tiers[0] == 0) return fail(Errc::bad_value);
  for (const std::uint32_t tier : row.tiers) {
    if (tier > kMaxMultiplier) return fail(Errc::bad_value);
  }
  for (const Nanos fee : row.fees) {
    if (fee != kNoPrice && !rate_in_range(fee)) return fail(Errc::bad_value);
  }
  if (!free_is_meant(row)) return fail(Errc::bad_value);
  // A margin below 1 would make the hold a lower bound.
  if (row.input_margin < kOne || row.input_margin > 100 * kOne) return fail(Errc::bad_value);
  if (row.hidden_tokens_per_s > 100'000) return fail(Errc::bad_value);
  if (row.max_output_tokens < 0 || row.max_output_tokens > kMaxTokens) return fail(Errc::bad_value);
  if (row.context_tokens < 0 || row.context_tokens > kMaxTokens) return fail(Errc::bad_value);
  return {};
}

const Rates& rates_for(const PriceRow& row, Tokens prompt_tokens) {
  const Rates* rates = &row.base;
  for (const Band& band : row.bands) {
    if (band.above_prompt_tokens == 0 || prompt_tokens <= band.above_prompt_tokens) break;
    rates = &band.rates;
  }
  return *rates;
}

std::uint32_t window_multiplier(const PriceRow& row, TimeNs at_ns) {
  if (row.windows[0].multiplier == 0 || at_ns < 0) return kOne;
  const TimeNs day = at_ns / kDayNs;
  const auto minute = static_cast<std::uint16_t>(at_ns % kDayNs / kMinuteNs);
  // 1970-01-01 was a Thursday.
  const auto weekday = static_cast<unsigned>((day + 3) % 7);
  for (const std::uint16_t holiday : row.holidays) {
    if (holiday != 0 && holiday == day) return kOne;
  }
  for (const Window& window : row.windows) {
    if (window.multiplier == 0) break;
    if ((window.weekdays >> weekday & 1U) != 0 && minute >= window.start_minute &&
        minute < window.end_minute) {
      return window.multiplier;
    }
  }
  return kOne;
}

}  // namespace sluice::price
