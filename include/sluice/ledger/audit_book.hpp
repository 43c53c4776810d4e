// What an auditor asks: sums made anew from single rows and entries, never from the totals that are
// kept.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/ledger/usage_book.hpp"

namespace sluice::ledger {

class Db;

/// Totals of an account, from its entries and as posted.
struct AccountSums {
  Id account_id = 0;
  std::string name;
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

/// A batch, wallet and price version whose entries are not the sum of its rows; rows − entries.
struct BatchDifference {
  std::int64_t batch = 0;
  Id wallet_id = 0;
  Id price_version = 0;
  Nanos charged = 0;
  Nanos excess = 0;
  Nanos loss = 0;
};

/// Numbers of a wallet's credits and debits: with nothing wrong there are `last_no` entries, 1 …
/// last_no.
struct WalletNumbers {
  Id wallet_id = 0;
  std::int64_t last_no = 0;  ///< last one handed out
  std::int64_t entries = 0;
  std::int64_t different = 0;  ///< different numbers among them
  std::int64_t highest = 0;
};

/// What is stored of one slot of one epoch.
struct SlotRows {
  std::uint32_t node = 0;
  std::uint64_t epoch = 0;
  std::uint32_t slot = 0;
  std::uint64_t cursor = 0;  ///< 0 = none
  std::int64_t rows = 0;
  std::uint64_t first = 0;  ///< 0 = no rows (they may have been removed by age)
  std::uint64_t last = 0;
};

/// Rows of an epoch: with nothing wrong stored + removed = Σ cursors.
struct EpochRows {
  std::uint32_t node = 0;
  std::uint64_t epoch = 0;
  std::int64_t cursors = 0;
  std::int64_t stored = 0;
  std::int64_t removed = 0;
};

/// An overdraft limit that is not in force any more.
struct EarlierLimit {
  Id wallet_id = 0;
  Nanos limit = 0;
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
  [[nodiscard]] Result<std::vector<BatchDifference>> batches_that_differ();
  /// Entries that name an account which does not exist, by id.
  [[nodiscard]] Result<std::vector<Id>> entries_without_account();
  [[nodiscard]] Result<std::vector<WalletNumbers>> wallet_numbers();
  [[nodiscard]] Result<std::vector<SlotRows>> slot_rows();
  [[nodiscard]] Result<std::vector<EpochRows>> epoch_rows();
  /// Overdraft limits that were replaced since a node's epoch was opened, the highest of each
  /// wallet.
  [[nodiscard]] Result<std::vector<EarlierLimit>> earlier_limits(std::uint32_t node,
                                                                 std::uint64_t epoch);
  /// The whole publish queue, by wallet and number.
  [[nodiscard]] Result<std::vector<NumberedEntry>> queue();

 private:
  Db& db_;
};

}  // namespace sluice::ledger
