// 128-bit sums for prices. Everything in them is ≥ 0, so that the unsigned type shows overflow.
#pragma once

#include <cstdint>
#include <limits>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/price/cost.hpp"
#include "sluice/price/row.hpp"

namespace sluice::price {

__extension__ using Wide = unsigned __int128;

/// cost() of these counts at rates that the caller has chosen (band already decided).
[[nodiscard]] Result<Nanos> cost_at(const Rates& rates, const PriceRow& row,
                                    const TokenCounts& counts, const Terms& terms);

}  // namespace sluice::price
