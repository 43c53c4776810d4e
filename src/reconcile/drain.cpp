#include "drain.hpp"

#include <algorithm>
#include <utility>

#include "sluice/base/log.hpp"
#include "sluice/state/writer.hpp"
#include "usage_rows.hpp"

namespace sluice::reconcile {
namespace {

Nanos owed(const state::OutboxRecord& record) { return record.charged + record.excess; }

}  // namespace

Drain::Drain(state::Environment& environment, ledger::Ledger& ledger, const Clock& clock,
             Stored stored)
    : environment_(environment),
      ledger_(ledger),
      clock_(clock),
      stored_(std::move(stored)),
      slots_(environment.meta().slots),
      batch_{environment.meta().node, environment.epoch(), {}},
      batch_rows_(ledger::kDrainRowsMax) {}

void Drain::forget(Slot& slot, std::size_t rows) {
  for (const state::OutboxRow& row : slot.pending.front(rows)) pending_nanos_ -= owed(row.record);
  slot.pending.pop(rows);
  pending_rows_ -= rows;
}

void Drain::hand_on(Slot& slot, std::size_t rows) {
  if (stored_ && rows > 0) stored_(slot.pending.front(rows));
  drained_rows_ += rows;
  forget(slot, rows);
}

Result<> Drain::load_cursors() {
  const auto cursors = ledger_.usage().cursors(environment_.meta().node, environment_.epoch());
  if (!cursors) return std::unexpected(cursors.error());
  for (const ledger::Cursor& cursor : *cursors) {
    if (cursor.slot >= slots_.size()) return fail(Errc::corrupt);
    Slot& slot = slots_[cursor.slot];
    const auto known = environment_.find_slot(cursor.slot);
    if (!known) return std::unexpected(known.error());
    if (cursor.seq > known->outbox_seq || cursor.seq < slot.cursor) return fail(Errc::corrupt);
    slot.cursor = cursor.seq;
    slot.read = std::max(slot.read, cursor.seq);
    const auto waiting = slot.pending.front(slot.pending.size());
    const auto after = std::ranges::find_if(
        waiting, [&](const state::OutboxRow& row) { return row.id.seq > cursor.seq; });
    hand_on(slot, static_cast<std::size_t>(after - waiting.begin()));
  }
  return {};
}

void Drain::break_slot(state::SlotId number, Slot& slot, const std::string& why) {
  if (!slot.trouble.empty()) return;
  slot.trouble = why;
  trouble_ = "outbox of slot " + std::to_string(number) + ": " + why;
  log_line(LogLevel::error, "reconcile", "ALARM " + trouble_);
}

// A row that is found at the first look may be old; one that comes later is younger than the look
// before.
TimeNs Drain::waiting_since(const state::OutboxRecord& record, TimeNs now_ns) const {
  const TimeNs age =
      clock_.realtime_ns() - record.started_at_ns - static_cast<TimeNs>(record.total_ns);
  return std::max<TimeNs>(1, now_ns - std::max<TimeNs>(0, age));
}

void Drain::take_rows(state::SlotId number, Slot& slot, TimeNs seen_ns) {
  while (const state::OutboxRow* row = slot.pending.next_incoming()) {
    if (row->id.seq != slot.read + 1 || row->record.hold.epoch != environment_.epoch()) {
      slot.pending.refuse();
      break_slot(number, slot,
                 "row " + std::to_string(slot.read + 1) + " is missing or of another epoch");
      return;
    }
    slot.read = row->id.seq;
    pending_nanos_ += owed(row->record);
    ++pending_rows_;
    slot.pending.accept(read_once_ ? seen_ns : waiting_since(row->record, seen_ns));
  }
}

Result<> Drain::poll_slot(state::SlotId number, Slot& slot, TimeNs seen_ns) {
  const auto known = environment_.find_slot(number);
  if (!known) {
    if (known.error().code != Errc::corrupt) return std::unexpected(known.error());
    break_slot(number, slot, "the slot's record is corrupt");
    return {};
  }
  slot.written = known->outbox_seq;
  if (slot.written <= slot.read || !slot.trouble.empty() || pending_rows_ >= kPendingRows)
    return {};
  const std::size_t room = kPendingRows - pending_rows_;
  const auto read =
      state::read_outbox(environment_, number, slot.read, room, slot.pending.incoming());
  take_rows(number, slot, seen_ns);
  if (!read) {
    if (read.error().code != Errc::corrupt) return std::unexpected(read.error());
    break_slot(number, slot, "row " + std::to_string(slot.read + 1) + " fails its check");
  } else if (*read < room && slot.read < slot.written) {
    break_slot(number, slot, "row " + std::to_string(slot.read + 1) + " is missing");
  }
  return {};
}

Result<> Drain::poll() {
  const std::uint64_t txn = environment_.last_txn();
  if (read_once_ && txn == last_txn_ && unread_rows_ == 0) return {};
  const TimeNs seen_ns = clock_.monotonic_ns();
  unread_rows_ = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto number = static_cast<state::SlotId>(i);
    if (auto polled = poll_slot(number, slots_[i], seen_ns); !polled) return polled;
    if (slots_[i].written > slots_[i].read) unread_rows_ += slots_[i].written - slots_[i].read;
  }
  last_txn_ = txn;
  read_once_ = true;
  return {};
}

void Drain::next_batch(std::vector<std::size_t>& taken) {
  taken.assign(slots_.size(), 0);
  std::size_t filled = 0;
  for (std::size_t i = 0; i < slots_.size() && filled < batch_rows_; ++i) {
    const std::size_t number = (first_slot_ + i) % slots_.size();
    const WaitingRows& pending = slots_[number].pending;
    const std::size_t rows = std::min(pending.size(), batch_rows_ - filled);
    if (batch_.rows.size() < filled + rows) batch_.rows.resize(filled + rows);
    for (const state::OutboxRow& row : pending.front(rows)) to_usage(row, batch_.rows[filled++]);
    taken[number] = rows;
  }
  batch_.rows.resize(filled);
}

Result<std::size_t> Drain::commit_batch() {
  if (pending_rows_ == 0) return 0;
  std::vector<std::size_t> taken;
  next_batch(taken);
  if (const auto drained = ledger_.usage().drain(batch_); !drained) {
    return after_conflict(drained.error(), taken);
  }
  batch_rows_ = ledger::kDrainRowsMax;
  first_slot_ = (first_slot_ + 1) % slots_.size();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].cursor += taken[i];
    hand_on(slots_[i], taken[i]);
  }
  return batch_.rows.size();
}

// The books refused: either they have the rows already (a COMMIT whose outcome was unknown), or one
// row is impossible. Halving the batch finds it; the rows before it are stored.
Result<std::size_t> Drain::after_conflict(const Error& error,
                                          const std::vector<std::size_t>& taken) {
  const std::size_t before = pending_rows_;
  if (auto loaded = load_cursors(); !loaded) {
    if (loaded.error().code != Errc::corrupt) return std::unexpected(loaded.error());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      break_slot(static_cast<state::SlotId>(i), slots_[i],
                 "the ledger's cursor is not where this outbox is");
      forget(slots_[i], slots_[i].pending.size());
    }
    return 0;
  }
  if (pending_rows_ < before) return before - pending_rows_;
  if (error.code != Errc::conflict && error.code != Errc::bad_value) return std::unexpected(error);
  if (batch_rows_ > 1) {
    batch_rows_ /= 2;
    return commit_batch();
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (taken[i] == 0) continue;
    Slot& slot = slots_[i];
    break_slot(static_cast<state::SlotId>(i), slot,
               "row " + std::to_string(slot.cursor + 1) +
                   " is refused by the books: " + ledger_.last_error());
    slot.read = slot.cursor;
    forget(slot, slot.pending.size());
    unread_rows_ += slot.written - slot.read;
  }
  batch_rows_ = ledger::kDrainRowsMax;
  return commit_batch();
}

Result<> Drain::drain_good_rows() {
  for (;;) {
    if (auto polled = poll(); !polled) return polled;
    if (pending_rows_ == 0) return {};
    while (pending_rows_ > 0) {
      if (const auto stored = commit_batch(); !stored) return std::unexpected(stored.error());
    }
  }
}

Result<> Drain::trim() {
  state::Writer writer(environment_);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.cursor == slot.trimmed) continue;
    const auto deleted = writer.delete_drained(static_cast<state::SlotId>(i), slot.cursor);
    if (!deleted) return std::unexpected(deleted.error());
    slot.trimmed = slot.cursor;
  }
  return {};
}

Lag Drain::lag() const {
  Lag lag{pending_rows_ + unread_rows_, pending_nanos_, 0};
  for (const Slot& slot : slots_) {
    if (slot.pending.empty()) continue;
    const TimeNs since = slot.pending.oldest_ns();
    lag.oldest_ns = lag.oldest_ns == 0 ? since : std::min(lag.oldest_ns, since);
  }
  // Rows that were not read yet are like those that were: an estimate that errs by little, far
  // above the limits.
  if (unread_rows_ > 0 && pending_rows_ > 0) {
    lag.nanos +=
        pending_nanos_ / static_cast<Nanos>(pending_rows_) * static_cast<Nanos>(unread_rows_);
  }
  return lag;
}

std::vector<ledger::Gap> Drain::gaps(std::uint32_t node) const {
  std::vector<ledger::Gap> gaps;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.trouble.empty() && slot.written <= slot.cursor) continue;
    ledger::Gap gap;
    gap.node = node;
    gap.epoch = environment_.epoch();
    gap.slot = static_cast<std::uint32_t>(i);
    gap.from_seq = slot.cursor + 1;
    gap.until_seq = slot.written > slot.cursor ? slot.written + 1 : 0;
    gap.reason = slot.trouble.empty() ? "rows were not drained" : slot.trouble;
    gaps.push_back(std::move(gap));
  }
  return gaps;
}

}  // namespace sluice::reconcile
