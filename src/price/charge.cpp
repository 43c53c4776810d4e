#include "sluice/price/charge.hpp"

#include <algorithm>

#include "wide.hpp"

namespace sluice::price {
namespace {

/// What is billed at all: nothing, the provider's usage as far as it goes, or the prompt alone.
enum class Basis : std::uint8_t { nothing, usage_or_estimate, prompt_only };

struct Decision {
  Basis basis = Basis::nothing;
  std::uint32_t flags = 0;
};

/// The table of design.md §3.1.
Decision decide(End end, Phase phase) {
  switch (end) {
    case End::refused:
    case End::no_candidate:
    case End::expired:
      return {};
    case End::finished:
      return {Basis::usage_or_estimate, 0};
    case End::client_left:
    case End::cut:
      if (phase < Phase::sent) return {};
      return {Basis::usage_or_estimate, 0};
    case End::upstream_broke:
      if (phase < Phase::streaming) return {};
      return {Basis::usage_or_estimate, kChargePartial};
    case End::shard_died:
      if (phase < Phase::sent) return {};
      if (phase == Phase::sent) return {Basis::prompt_only, kChargeCrash};
      return {Basis::usage_or_estimate, phase == Phase::final ? 0U : kChargeCrash};
  }
  return {};
}

/// The counts to bill. Sets kChargeEstimated when some of them are our own.
TokenCounts counts_of(Basis basis, const Metered& metered, std::uint32_t& flags) {
  TokenCounts counts;
  if (metered.usage_state == UsageState::none) {
    counts.input = metered.input_estimate;
    counts.output = metered.counted_output;
    flags |= kChargeEstimated;
  } else {
    counts = metered.usage;
    if (metered.usage_state == UsageState::partial) {
      // The prompt side is exact, the output is at least what was seen.
      counts.output = std::max(counts.output, metered.counted_output);
      flags |= kChargeEstimated;
    }
  }
  if (basis == Basis::prompt_only) {
    counts.output = 0;
    counts.reasoning = 0;
  }
  return counts;
}

Nanos sum_or_max(Nanos a, Nanos b) {
  Nanos sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<Nanos>::max() : sum;
}

}  // namespace

Charge split(Nanos cost, Nanos hold, Nanos excess_max) {
  Charge charge;
  charge.cost = std::max<Nanos>(cost, 0);
  charge.charged = std::min(charge.cost, std::max<Nanos>(hold, 0));
  const Nanos above = charge.cost - charge.charged;
  charge.excess = std::min(above, std::max<Nanos>(excess_max, 0));
  charge.loss = above - charge.excess;
  if (charge.excess > 0) charge.flags |= kChargeExcess;
  if (charge.loss > 0) charge.flags |= kChargeLoss;
  return charge;
}

Charge charge(End end, Phase phase, const Metered& metered, const PriceRow* row, const Terms& terms,
              Nanos hold, Nanos excess_max) {
  const Decision decision = decide(end, phase);
  if (decision.basis == Basis::nothing) {
    Charge none;
    none.flags = kChargeVoid;
    return none;
  }
  std::uint32_t flags = decision.flags;
  TokenCounts counts = counts_of(decision.basis, metered, flags);
  if (clamp_counts(counts)) flags |= kChargeClamped;

  Nanos nanos = hold;
  if (row == nullptr) {
    flags |= kChargePriceMissing;
  } else {
    const auto request = static_cast<std::size_t>(Fee::request);
    counts.calls[request] = row->fees[request] == kNoPrice ? 0 : 1;
    const Result<Nanos> cost_or = cost(*row, counts, terms);
    if (cost_or) {
      nanos = *cost_or;
    } else if (cost_or.error().code == Errc::too_large) {
      nanos = std::numeric_limits<Nanos>::max();
      flags |= kChargeClamped;
    } else {
      flags |= kChargePriceMissing;
    }
  }
  // Numbers that cannot be are not a loss that anybody had: they end at what the wallet may pay.
  const Nanos most = sum_or_max(std::max<Nanos>(hold, 0), std::max<Nanos>(excess_max, 0));
  if (std::max<Nanos>(nanos, 0) - most > kMaxLoss) flags |= kChargeClamped;
  if ((flags & kChargeClamped) != 0) nanos = std::min(nanos, most);
  Charge result = split(nanos, hold, excess_max);
  result.flags |= flags;
  result.billed = counts;
  return result;
}

}  // namespace sluice::price
