// All price rows by version, as the ledger has them: for reaping and for the catalog.
#pragma once

#include <unordered_map>
#include <vector>

#include "sluice/ledger/records.hpp"
#include "sluice/state/slots.hpp"

namespace sluice::reconcile {

class PriceBook {
 public:
  PriceBook() = default;
  PriceBook(const std::vector<ledger::Price>& prices, const std::vector<ledger::Model>& models);

  [[nodiscard]] const price::PriceRow* find(std::uint64_t version) const;
  /// For state::reap_slot(); refers to this object.
  [[nodiscard]] state::PriceLookup lookup() const;

 private:
  std::unordered_map<std::uint64_t, price::PriceRow> rows_;
};

/// A price row with what its model adds: margin, limits, accrual.
[[nodiscard]] price::PriceRow with_model(price::PriceRow row, const ledger::Model& model);

}  // namespace sluice::reconcile
