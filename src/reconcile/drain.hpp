// Rows 8 and 9: usage from the outbox into the books, exactly once, and then out of the outbox.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/inspect.hpp"
#include "waiting_rows.hpp"

namespace sluice::reconcile {

/// What is in the outbox and not yet in the ledger.
struct Lag {
  std::uint64_t rows = 0;
  Nanos nanos = 0;
  TimeNs oldest_ns = 0;  ///< monotonic time since when the oldest row waits; 0 = none
};

class Drain {
 public:
  /// Called with rows that the ledger has just stored.
  using Stored = std::function<void(std::span<const state::OutboxRow>)>;

  /// All outlive it. `stored` may be empty.
  Drain(state::Environment& environment, ledger::Ledger& ledger, const Clock& clock, Stored stored);

  /// Reads where the ledger stands. Before anything else, and again after an unknown outcome.
  /// Errors of the ledger; corrupt when a cursor is ahead of the outbox (time travel).
  [[nodiscard]] Result<> load_cursors();

  /// Copies new rows out, each row once; at most kPendingRows wait here. Nothing is read when no
  /// transaction was committed since the last call.
  [[nodiscard]] Result<> poll();

  /// Stores at most kDrainRowsMax rows in one ledger transaction. Returns how many. An unknown
  /// outcome is repaired from the cursors. Errors of the ledger: nothing is lost, call again later.
  [[nodiscard]] Result<std::size_t> commit_batch();

  /// Polls and commits until nothing is left but what cannot be drained. Errors of the ledger.
  [[nodiscard]] Result<> drain_good_rows();

  /// Deletes what the ledger has from the outbox. Errors of state::Writer.
  [[nodiscard]] Result<> trim();

  [[nodiscard]] Lag lag() const;
  [[nodiscard]] bool empty() const { return pending_rows_ == 0 && unread_rows_ == 0; }
  /// A slot has a row that cannot be read, is missing or is refused by the books: it is not drained
  /// any further.
  [[nodiscard]] bool broken() const { return !trouble_.empty(); }
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

  /// What will never be drained of this epoch: of each broken slot the rows after its cursor.
  [[nodiscard]] std::vector<ledger::Gap> gaps(std::uint32_t node) const;
  [[nodiscard]] std::uint64_t drained_rows() const { return drained_rows_; }

  static constexpr std::size_t kPendingRows = 20'000;

 private:
  struct Slot {
    std::uint64_t cursor = 0;   ///< the ledger has rows up to here
    std::uint64_t read = 0;     ///< rows up to here were copied out
    std::uint64_t written = 0;  ///< last sequence of the slot
    std::uint64_t trimmed = 0;  ///< rows up to here are deleted
    WaitingRows pending;
    std::string trouble;
  };

  [[nodiscard]] Result<> poll_slot(state::SlotId number, Slot& slot, TimeNs seen_ns);
  /// Takes the rows that were read behind those that wait already.
  void take_rows(state::SlotId number, Slot& slot, TimeNs seen_ns);
  void break_slot(state::SlotId number, Slot& slot, const std::string& why);
  /// Fills batch_; taken[i] = how many of its rows are of slot i.
  void next_batch(std::vector<std::size_t>& taken);
  [[nodiscard]] Result<std::size_t> after_conflict(const Error& error,
                                                   const std::vector<std::size_t>& taken);
  void hand_on(Slot& slot,
               std::size_t rows);  ///< the ledger has the first `rows`: to the records, and away
  void forget(Slot& slot, std::size_t rows);
  [[nodiscard]] TimeNs waiting_since(const state::OutboxRecord& record, TimeNs now_ns) const;

  state::Environment& environment_;
  ledger::Ledger& ledger_;
  const Clock& clock_;
  Stored stored_;
  std::vector<Slot> slots_;
  ledger::DrainBatch batch_;  ///< kept for its memory
  std::uint64_t last_txn_ = 0;
  bool read_once_ = false;
  std::size_t first_slot_ = 0;  ///< batches begin at another slot each time
  std::size_t batch_rows_ = 0;  ///< shrinks to find a row that the books refuse
  std::size_t pending_rows_ = 0;
  std::uint64_t unread_rows_ = 0;
  Nanos pending_nanos_ = 0;
  std::uint64_t drained_rows_ = 0;
  std::string trouble_;
};

}  // namespace sluice::reconcile
