// Rows 8 and 9: usage from the outbox into the ledger, exactly once, and then out of the outbox.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/state/inspect.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {

class Drainer {
 public:
  /// `drained` is called with each batch after it is durable and before its rows leave the outbox.
  using Drained = std::function<void(const ledger::DrainBatch&)>;
  Drainer(ledger::Ledger& ledger, state::Environment& environment, const Clock& clock, std::uint32_t node, Drained drained);

  /// Reads the ledger's cursors and removes what they cover from the outbox (row 9 at a start).
  [[nodiscard]] Result<> catch_up();

  /// One pass: batches of at most 500 rows until the outbox had less than a full one, at most `batches_most`.
  /// Returns the rows drained. A slot with a row that fails its check is stopped there (Errc::corrupt) and the
  /// others go on; a lost ledger is Errc::unavailable or io, and the next pass starts from the ledger's cursors.
  [[nodiscard]] Result<std::size_t> run(std::size_t batches_most = 40);

  /// Tells admission how far the ledger is behind. Reads the outbox only when something is left in it.
  void publish_lag();

  [[nodiscard]] std::uint64_t cursor(state::SlotId slot) const;
  [[nodiscard]] std::uint64_t rows_total() const { return rows_total_; }
  [[nodiscard]] std::uint64_t batches_total() const { return batches_total_; }
  [[nodiscard]] bool has_corrupt_slot() const { return !stopped_.empty(); }
  /// Slots that have a damaged row: the first sequence number that cannot be read.
  [[nodiscard]] const std::map<state::SlotId, std::uint64_t>& stopped() const { return stopped_; }

 private:
  [[nodiscard]] bool gather(std::vector<state::OutboxRow>& rows);
  [[nodiscard]] Result<> store(const std::vector<state::OutboxRow>& rows);

  ledger::Ledger& ledger_;
  state::Environment& environment_;
  state::Writer writer_;
  const Clock& clock_;
  const std::uint32_t node_;
  const Drained drained_;
  std::map<state::SlotId, std::uint64_t> cursors_;
  std::map<state::SlotId, std::uint64_t> stopped_;
  state::SlotId next_slot_ = 0;  ///< where the next batch begins: no slot starves the others
  bool must_catch_up_ = true;
  bool left_over_ = false;
  TimeNs oldest_ns_ = 0;
  std::uint64_t rows_total_ = 0;
  std::uint64_t batches_total_ = 0;
};

}  // namespace sluice::reconcile
