// Draining usage into the books, and reading it.
#pragma once

#include <utility>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/usage.hpp"

namespace sluice::ledger {

class Db;

/// A stored row with where it came from.
struct StoredUsage {
  Id id = 0;
  std::uint32_t node = 0;
  std::uint64_t epoch = 0;
  std::int64_t batch = 0;
  UsageRow row;
};

class UsageBook {
 public:
  UsageBook(Db& db, const Clock& clock) : db_(db), clock_(clock) {}

  /// Row 8 of state-machine.md, one durable transaction: every slot's cursor moves from the number
  /// before its first row to its last one (compare and set), rows are inserted, one entry a wallet,
  /// price version and kind, window sums and daily sums added. Errc::conflict when a cursor is
  /// elsewhere (another reconciler, or an earlier commit whose outcome was unknown: read cursors()
  /// and go on from there); Errc::bad_value when rows of a slot are not contiguous or an amount is
  /// negative. Nothing is stored then.
  [[nodiscard]] Result<> drain(const DrainBatch& batch);

  /// Cursors of a node's epoch; a slot without one stands at 0.
  [[nodiscard]] Result<std::vector<Cursor>> cursors(std::uint32_t node, std::uint64_t epoch);

  [[nodiscard]] Result<> add_gap(const Gap& gap);
  [[nodiscard]] Result<std::vector<Gap>> gaps();

  [[nodiscard]] Result<std::vector<StoredUsage>> list(const UsageFilter& filter);
  /// Estimates beside what was reported, by model, of finished requests of the kept rows.
  [[nodiscard]] Result<std::vector<EstimateSums>> estimates(const UsageFilter& filter);
  /// The failed attempts of the rows first_id … last_id, by row and in their order.
  [[nodiscard]] Result<std::vector<std::pair<Id, UsageAttempt>>> attempts(Id first_id, Id last_id);
  [[nodiscard]] Result<std::vector<UsageStats>> stats(StatsBy by, const UsageFilter& filter);
  [[nodiscard]] Result<std::vector<WindowSum>> window_sums(OwnerKind kind,
                                                           Id owner_id);  ///< 0 = all owners

  /// Removes the rows of at most `batches` batches that were drained before `before_ns` (entries
  /// and sums stay), oldest first: one that a clock dated too early waits until those before it
  /// go. Returns how many rows went.
  [[nodiscard]] Result<std::int64_t> remove_before(TimeNs before_ns, std::int64_t batches);

 private:
  [[nodiscard]] Result<std::vector<std::int64_t>> oldest_batches(TimeNs before_ns,
                                                                 std::int64_t most);
  Db& db_;
  const Clock& clock_;
  std::int64_t gone_until_ = 0;  ///< last batch that was seen to be removed
};

}  // namespace sluice::ledger
