// The auditor's own arithmetic: tokens × price, written a second time on purpose.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sluice/ledger/records.hpp"
#include "sluice/ledger/usage.hpp"

namespace sluice::cli {

class AuditPrices {
 public:
  explicit AuditPrices(const std::vector<ledger::Price>& prices);
  /// What the row should have cost, when it did not. Rows whose price depends on what the row does
  /// not say (time windows, service tiers) or whose usage was not to be believed are skipped.
  [[nodiscard]] std::optional<std::string> wrong(const ledger::UsageRow& row) const;
  [[nodiscard]] std::int64_t skipped() const { return skipped_; }

 private:
  std::map<ledger::Id, ledger::Price> prices_;
  mutable std::int64_t skipped_ = 0;
};

}  // namespace sluice::cli
