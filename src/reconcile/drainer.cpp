#include "drainer.hpp"

#include <algorithm>

#include "convert.hpp"
#include "sluice/base/log.hpp"

namespace sluice::reconcile {

Drainer::Drainer(ledger::Ledger& ledger, state::Environment& environment, const Clock& clock, std::uint32_t node,
                 Drained drained)
    : ledger_(ledger), environment_(environment), writer_(environment), clock_(clock), node_(node),
      drained_(std::move(drained)) {}

std::uint64_t Drainer::cursor(state::SlotId slot) const {
  const auto found = cursors_.find(slot);
  return found == cursors_.end() ? 0 : found->second;
}

// Row 9 at a start, and after a commit whose outcome is unknown.
Result<> Drainer::catch_up() {
  const auto cursors = ledger_.usage().cursors(node_, environment_.epoch());
  if (!cursors) return std::unexpected(cursors.error());
  for (const ledger::Cursor& cursor : *cursors) {
    cursors_[cursor.slot] = cursor.seq;
    if (auto gone = writer_.delete_drained(cursor.slot, cursor.seq); !gone) return std::unexpected(gone.error());
  }
  must_catch_up_ = false;
  return {};
}

/// At most one batch of rows, slots in turn. True when there is more.
bool Drainer::gather(std::vector<state::OutboxRow>& rows) {
  const std::uint32_t slots = environment_.meta().slots;
  for (std::uint32_t i = 0; i < slots; ++i) {
    const state::SlotId slot = (next_slot_ + i) % slots;
    if (stopped_.contains(slot)) continue;
    const std::size_t before = rows.size();
    const std::size_t limit = ledger::kDrainRowsMax - before;
    if (limit == 0) {
      next_slot_ = slot;
      return true;
    }
    const auto read = state::read_outbox(environment_, slot, cursor(slot), limit, rows);
    if (!read && read.error().code == Errc::corrupt) {
      const std::uint64_t bad = cursor(slot) + (rows.size() - before) + 1;
      stopped_[slot] = bad;
      log_line(LogLevel::error, "reconcile",
               "slot " + std::to_string(slot) + ": outbox row " + std::to_string(bad) +
                   " is damaged: the slot is not drained any further until the state is rebuilt");
    }
    // A hole would be refused by the ledger with all the rest: leave it and what follows for the auditor.
    for (std::size_t at = before; at < rows.size(); ++at) {
      if (rows[at].id.seq == cursor(slot) + (at - before) + 1) continue;
      stopped_[slot] = cursor(slot) + (at - before) + 1;
      log_line(LogLevel::error, "reconcile",
               "slot " + std::to_string(slot) + ": outbox row " + std::to_string(stopped_[slot]) + " is missing");
      rows.resize(at);
      break;
    }
  }
  return rows.size() == ledger::kDrainRowsMax;
}

// Row 8, then 9.
Result<> Drainer::store(const std::vector<state::OutboxRow>& rows) {
  ledger::DrainBatch batch{node_, environment_.epoch(), {}};
  batch.rows.reserve(rows.size());
  for (const state::OutboxRow& row : rows) batch.rows.push_back(to_usage(row));
  if (auto stored = ledger_.usage().drain(batch); !stored) {
    // Whatever it was, the ledger's cursor decides: a commit that failed late may have happened.
    must_catch_up_ = true;
    return stored;
  }
  for (const ledger::UsageRow& row : batch.rows) cursors_[row.slot] = row.seq;
  rows_total_ += rows.size();
  ++batches_total_;
  drained_(batch);
  for (const auto& [slot, seq] : cursors_) {
    const bool touched = std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.id.slot == slot; });
    if (!touched) continue;
    if (auto gone = writer_.delete_drained(slot, seq); !gone) return std::unexpected(gone.error());
  }
  return {};
}

Result<std::size_t> Drainer::run(std::size_t batches_most) {
  if (must_catch_up_) {
    if (auto ready = catch_up(); !ready) {
      left_over_ = true;
      return std::unexpected(ready.error());
    }
  }
  std::size_t drained = 0;
  for (std::size_t i = 0; i < batches_most; ++i) {
    std::vector<state::OutboxRow> rows;
    const bool more = gather(rows);
    left_over_ = !rows.empty();
    if (rows.empty()) break;
    if (auto stored = store(rows); !stored) return std::unexpected(stored.error());
    drained += rows.size();
    left_over_ = more;
    if (!more) break;
  }
  left_over_ = left_over_ || has_corrupt_slot();
  return drained;
}

void Drainer::publish_lag() {
  state::AdmissionBlock& block = environment_.boards().admission();
  Nanos nanos = 0;
  std::uint64_t rows = 0;
  if (left_over_) {
    state::StateCopy copy;
    if (state::copy_state(environment_, state::kCopyOutbox, copy)) {
      for (const state::OutboxRow& row : copy.outbox) {
        if (row.id.seq <= cursor(row.id.slot)) continue;
        ++rows;
        if (__builtin_add_overflow(nanos, row.record.charged + row.record.excess, &nanos)) nanos = INT64_MAX;
      }
    }
  }
  // When the rows were written is not known here: their age counts from the first look that found them.
  oldest_ns_ = rows == 0 ? 0 : oldest_ns_ == 0 ? clock_.monotonic_ns() : oldest_ns_;
  block.undrained_rows.store(rows, std::memory_order_relaxed);
  block.undrained_nanos.store(nanos, std::memory_order_relaxed);
  block.undrained_oldest_ns.store(oldest_ns_, std::memory_order_relaxed);
}

}  // namespace sluice::reconcile
