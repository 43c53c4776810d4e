// Price rows, usages and ends of requests for the comparison with property_check.py. Deterministic:
// the same Draw gives the same case.
#pragma once

#include <cstdint>

#include "draw.hpp"
#include "sluice/price/charge.hpp"
#include "sluice/price/estimate.hpp"

namespace sluice::price {

/// What a group's numbers are chosen for.
enum class RowKind : std::uint8_t {
  everyday = 0,  ///< prices as they are
  any = 1,       ///< every field from its whole range
  rounding = 2,  ///< fractions of a nano at, just under and just over 0, ½ and 1
  ladder = 3,    ///< a cost at 2^63 − 1, and one nano to either side
  damaged = 4,   ///< prices and multipliers that are missing or impossible
  wrap = 5,      ///< a product of exactly 2^128
};

[[nodiscard]] RowKind draw_kind(Draw& draw);
[[nodiscard]] PriceRow draw_row(Draw& draw, RowKind kind);
[[nodiscard]] Terms draw_terms(Draw& draw, RowKind kind, const PriceRow& row);
/// Sometimes with numbers that no provider can mean.
[[nodiscard]] TokenCounts draw_counts(Draw& draw, RowKind kind, const PriceRow& row);
[[nodiscard]] EstimateInput draw_estimate(Draw& draw, const PriceRow& row);
/// A usage that `in` is an upper bound of; `input_bound` is its bound of the prompt.
[[nodiscard]] TokenCounts draw_within(Draw& draw, const PriceRow& row, const EstimateInput& in,
                                      Tokens input_bound);
/// A hold or an excess_max that lies at, beside or anywhere around `near`.
[[nodiscard]] Nanos draw_near(Draw& draw, Nanos near);

}  // namespace sluice::price
