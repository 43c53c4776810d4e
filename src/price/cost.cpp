#include "sluice/price/cost.hpp"

#include <algorithm>

#include "wide.hpp"

namespace sluice::price {
namespace {

// Σ tokens × rate is nanos × 10^6; three multipliers in thousandths make it nanos × 10^15.
constexpr Wide kDenominator = Wide{1'000'000} * 1'000'000'000;
constexpr Wide kFeeScale = kDenominator / kOne;  // a fee takes the group's multiplier alone

bool in_range(const TokenCounts& counts) {
  const auto fits = [](Tokens tokens) { return tokens >= 0 && tokens <= kMaxTokens; };
  return fits(counts.input) && fits(counts.cache_read) && fits(counts.cache_write_short) &&
         fits(counts.cache_write_long) && fits(counts.output) && fits(counts.reasoning) &&
         std::ranges::all_of(counts.calls, [](std::uint32_t calls) { return calls <= kMaxCalls; });
}

/// Adds tokens × rate. False when the class was counted but has no price.
bool add_class(Wide& sum, Tokens tokens, Nanos rate) {
  if (tokens == 0) return true;
  if (rate < 0 || rate > kMaxRate) return false;
  // At most 10^9 × 10^15 a class and five classes: far below 2^128.
  sum += static_cast<Wide>(tokens) * static_cast<Wide>(rate);
  return true;
}

bool sum_classes(Wide& sum, const Rates& rates, const TokenCounts& counts) {
  return add_class(sum, counts.input, rates.input) &&
         add_class(sum, counts.cache_read, rates.cache_read) &&
         add_class(sum, counts.cache_write_short, rates.cache_write_short) &&
         add_class(sum, counts.cache_write_long, rates.cache_write_long) &&
         add_class(sum, counts.output, rates.output);
}

bool sum_fees(Wide& sum, const PriceRow& row, const TokenCounts& counts) {
  for (std::size_t i = 0; i < kFees; ++i) {
    if (!add_class(sum, static_cast<Tokens>(counts.calls[i]), row.fees[i])) return false;
  }
  return true;
}

}  // namespace

bool clamp_counts(TokenCounts& counts) {
  bool changed = false;
  const auto clamp = [&changed](Tokens& tokens) {
    const Tokens in = std::clamp<Tokens>(tokens, 0, kMaxTokens);
    changed = changed || in != tokens;
    tokens = in;
  };
  clamp(counts.input);
  clamp(counts.cache_read);
  clamp(counts.cache_write_short);
  clamp(counts.cache_write_long);
  clamp(counts.output);
  clamp(counts.reasoning);
  for (std::uint32_t& calls : counts.calls) {
    changed = changed || calls > kMaxCalls;
    calls = std::min(calls, kMaxCalls);
  }
  return changed;
}

Result<Nanos> cost_at(const Rates& rates, const PriceRow& row, const TokenCounts& counts,
                      const Terms& terms) {
  if (!in_range(counts)) return fail(Errc::bad_value);
  const auto tier_index = static_cast<std::size_t>(terms.tier);
  // A multiplier of 0 is a struct that nobody filled, not a gift.
  if (tier_index >= kTiers || terms.multiplier == 0 || terms.multiplier > kMaxMultiplier) {
    return fail(Errc::bad_value);
  }
  const std::uint32_t tier = row.tiers[tier_index];
  if (tier == 0) return fail(Errc::not_found);
  const std::uint32_t window = window_multiplier(row, terms.at_ns);
  if (tier > kMaxMultiplier || window > kMaxMultiplier) return fail(Errc::bad_value);

  Wide classes = 0;
  Wide fees = 0;
  if (!sum_classes(classes, rates, counts) || !sum_fees(fees, row, counts)) {
    return fail(Errc::not_found);
  }
  const Wide class_factor = Wide{tier} * window * terms.multiplier;
  const Wide fee_factor = kFeeScale * terms.multiplier;
  Wide scaled_classes = 0;
  Wide scaled_fees = 0;
  Wide sum = 0;
  if (__builtin_mul_overflow(classes, class_factor, &scaled_classes) ||
      __builtin_mul_overflow(fees, fee_factor, &scaled_fees) ||
      __builtin_add_overflow(scaled_classes, scaled_fees, &sum) ||
      __builtin_add_overflow(sum, kDenominator - 1, &sum)) {
    return fail(Errc::too_large);
  }
  const Wide nanos = sum / kDenominator;
  if (nanos > static_cast<Wide>(std::numeric_limits<Nanos>::max())) return fail(Errc::too_large);
  return static_cast<Nanos>(nanos);
}

Result<Nanos> cost(const PriceRow& row, const TokenCounts& counts, const Terms& terms) {
  if (!in_range(counts)) return fail(Errc::bad_value);
  return cost_at(rates_for(row, counts.prompt()), row, counts, terms);
}

Result<Nanos> output_cost(const PriceRow& row, const Terms& terms, Tokens prompt_tokens,
                          Tokens output_tokens) {
  TokenCounts counts;
  counts.output = output_tokens;
  return cost_at(rates_for(row, prompt_tokens), row, counts, terms);
}

}  // namespace sluice::price
