// A price row as the columns of its table. Groups of numbers that belong together are lists in one
// column.
#pragma once

#include <string>
#include <string_view>

#include "sluice/price/row.hpp"

namespace sluice::ledger {

struct PriceColumns {
  std::string fees, bands, windows, holidays, tiers;
};

[[nodiscard]] PriceColumns to_columns(const price::PriceRow& row);
/// Fills the lists of `row`; what a column does not have keeps the empty row's value.
void from_columns(const PriceColumns& columns, price::PriceRow& row);

}  // namespace sluice::ledger
