// What an auditor asks: sums made anew from single rows and entries, never from the totals that are
// kept.
#pragma once

#include <functional>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/ledger/usage_book.hpp"

namespace sluice::ledger {

class Db;

/// Totals of an account, from its entries and as posted.
struct AccountSums {
  Id account_id = 0;
  Nanos debits = 0;  ///< Σ entries
  Nanos credits = 0;
  Nanos posted_debits = 0;
  Nanos posted_credits = 0;
};

/// A credit or a debit by its number.
struct NumberedEntry {
  Id wallet_id = 0;
  std::int64_t wallet_no = 0;
  Nanos amount = 0;  ///< signed
};

/// What was charged to a wallet in batches whose rows have been removed.
struct RemovedSum {
  Id wallet_id = 0;
  Nanos charged = 0;
  Nanos excess = 0;
};

/// Rows of a slot that are not stored any more.
struct RemovedRows {
  std::int64_t rows = 0;  ///< of all slots of the epoch
  std::vector<RemovedSum> sums;
};

class AuditBook {
 public:
  explicit AuditBook(Db& db) : db_(db) {}

  /// Every stored row of a node's epoch, by slot and sequence number.
  [[nodiscard]] Result<> each_usage(std::uint32_t node, std::uint64_t epoch,
                                    const std::function<void(const StoredUsage&)>& visit);
  [[nodiscard]] Result<RemovedRows> removed(std::uint32_t node, std::uint64_t epoch);
  [[nodiscard]] Result<std::vector<AccountSums>> accounts();
  [[nodiscard]] Result<std::vector<NumberedEntry>> numbered_entries();
  /// Pairs of wallet and price version in a batch whose entries are not the sum of its rows.
  [[nodiscard]] Result<std::int64_t> batches_that_differ();

 private:
  Db& db_;
};

}  // namespace sluice::ledger
