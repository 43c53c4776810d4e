#include "sluice/state/verb_queue.hpp"

#include <algorithm>
#include <array>
#include <thread>

#include "sluice/base/assert.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/crash_point.hpp"
#include "sluice/state/gate.hpp"

namespace sluice::state {
namespace {

constexpr TimeNs kTryOnlyNs =
    kMillisecond;  // how long a turn may find the gate taken before it blocks
/// Most are inside for less: whoever sleeps instead is back after a multiple of it.
constexpr TimeNs kGateSpinNs = 100 * kMicrosecond;
constexpr TimeNs kMostBlockedNs =
    50 * kMillisecond;  // a stopped holder must not stop every shard for good

/// A write that failed leaves the transaction unusable; anything else concerns one verb.
bool breaks_transaction(Errc code) { return code == Errc::full || code == Errc::io; }

const HoldId& hold_of(const PendingVerb& pending) {
  if (const auto* settle = std::get_if<SettleVerb>(&pending.verb)) return settle->hold;
  if (const auto* extend = std::get_if<ExtendVerb>(&pending.verb)) return extend->hold;
  if (const auto* done = std::get_if<VoidVerb>(&pending.verb)) return done->hold;
  return pending.outcome.hold;
}

bool closes(const PendingVerb& pending) {
  return std::holds_alternative<SettleVerb>(pending.verb) ||
         std::holds_alternative<VoidVerb>(pending.verb);
}

}  // namespace

struct VerbQueue::Impl {
  /// First in, first out, through PendingVerb::next_.
  struct List {
    PendingVerb* head = nullptr;
    PendingVerb* tail = nullptr;
    std::size_t size = 0;

    void push(PendingVerb& verb) {
      verb.next_ = nullptr;
      (tail == nullptr ? head : tail->next_) = &verb;
      tail = &verb;
      ++size;
    }
    PendingVerb* pop() {
      PendingVerb* verb = head;
      if (verb == nullptr) return nullptr;
      head = verb->next_;
      if (head == nullptr) tail = nullptr;
      verb->next_ = nullptr;
      --size;
      return verb;
    }
  };

  struct Batch {
    std::array<PendingVerb*, kMaxVerbsPerTxn> verbs{};
    std::size_t count = 0;
    void take_from(List& list) {
      while (count < verbs.size() && list.head != nullptr) verbs[count++] = list.pop();
    }
    [[nodiscard]] std::span<PendingVerb* const> span() const { return {verbs.data(), count}; }
  };

  explicit Impl(const QueueParts& from) : parts(from) {
    SLUICE_ASSERT(parts.store != nullptr && parts.gate != nullptr && parts.block != nullptr &&
                  parts.admission != nullptr);
  }

  [[nodiscard]] std::size_t size() const {
    return alone.size + closers.size + changes.size + reserves.size;
  }
  void count(Metric metric, std::uint64_t by = 1) { parts.block->add(metric, by); }

  Gate::Entry look_at_gate();
  bool enter_gate(TimeNs now);
  [[nodiscard]] TimeNs oldest_queued() const;
  std::size_t refuse_while_stopped(TimeNs now);
  bool run(Batch& batch);
  Result<Outcome> apply_one(Tables& tables, PendingVerb& pending, bool crowded);
  bool apply_all(Tables& tables, Batch& batch);
  void after_failure(Batch& batch, Error error, bool outcome_unknown);
  bool committed_after_all(PendingVerb& pending);
  void requeue(PendingVerb& pending);
  void fail_waiting(Batch& batch);
  void complete(Batch& batch);
  void count_delays(const Batch& batch, TimeNs now_ns);

  QueueParts parts;
  List alone;    ///< settles and voids whose transaction failed: repeated one by one
  List closers;  ///< settle, void
  List changes;  ///< extend, request: of rows that are there
  List reserves;
};

TimeNs VerbQueue::Impl::oldest_queued() const {
  TimeNs oldest = std::numeric_limits<TimeNs>::max();
  for (const List* list : {&alone, &closers, &changes, &reserves}) {
    if (list->head != nullptr) oldest = std::min(oldest, list->head->queued_at_ns_);
  }
  return oldest;
}

Gate::Entry VerbQueue::Impl::look_at_gate() {
  Gate::Entry entry = parts.gate->try_enter(parts.slot);
  if (entry != Gate::Entry::busy) return entry;
  const TimeNs until_ns = system_clock().monotonic_ns() + kGateSpinNs;
  while (entry == Gate::Entry::busy && system_clock().monotonic_ns() < until_ns) {
    for (int i = 0; i < 16; ++i) __builtin_ia32_pause();
    entry = parts.gate->try_enter(parts.slot);
  }
  return entry;
}

/// Tries; blocks only when something has waited for 1 ms already (facts/state.md M6: a stalled loop
/// costs more than a verb that waits a turn).
bool VerbQueue::Impl::enter_gate(TimeNs now) {
  Gate& gate = *parts.gate;
  Gate::Entry entry = look_at_gate();
  if (entry == Gate::Entry::busy) {
    if (now - oldest_queued() < kTryOnlyNs) {
      count(Metric::gate_busy_turns);
      return false;
    }
    count(Metric::gate_waits);
    const TimeNs from = system_clock().monotonic_ns();
    entry = gate.enter(parts.slot, kMostBlockedNs);
    count(Metric::gate_wait_ns, static_cast<std::uint64_t>(system_clock().monotonic_ns() - from));
  }
  if (entry == Gate::Entry::entered_after_death) count(Metric::gate_owner_deaths);
  return entry != Gate::Entry::busy;
}

/// While the reconciler says stop, reservations are refused without a transaction.
std::size_t VerbQueue::Impl::refuse_while_stopped(TimeNs now) {
  const std::uint32_t stop = admission_stop(*parts.admission, now);
  if (stop == 0) return 0;
  const std::size_t waiting = reserves.size;  // completions may submit: those are of the next turn
  for (std::size_t i = 0; i < waiting; ++i) {
    PendingVerb* pending = reserves.pop();
    pending->outcome = {};
    pending->outcome.verdict = Verdict::refused;
    pending->outcome.limit = (stop & kStopMapFull) != 0 ? Limit::map_full : Limit::undrained;
    count(Metric::refusals);
    pending->done(*pending);
  }
  return waiting;
}

Result<Outcome> VerbQueue::Impl::apply_one(Tables& tables, PendingVerb& pending, bool crowded) {
  if (const auto* settle = std::get_if<SettleVerb>(&pending.verb)) {
    count(Metric::settles);
    return apply(tables, *settle);
  }
  if (const auto* nothing = std::get_if<VoidVerb>(&pending.verb)) {
    count(Metric::voids);
    return apply(tables, *nothing);
  }
  if (const auto* extend = std::get_if<ExtendVerb>(&pending.verb)) {
    count(Metric::extends);
    return apply(tables, *extend);
  }
  if (const auto* request = std::get_if<RequestVerb>(&pending.verb)) return apply(tables, *request);
  const auto& reserve = std::get<ReserveVerb>(pending.verb);
  count(Metric::reserves);
  if (crowded) {
    Outcome outcome;
    outcome.verdict = Verdict::refused;
    outcome.limit = Limit::map_full;
    return outcome;
  }
  Result<Outcome> outcome = apply(tables, parts.slot, parts.epoch, reserve);
  if (outcome && outcome->verdict == Verdict::done && pending.board_index != kNoBoardEntry) {
    // Before the commit (row 1): a hold that exists is then on the board, or counts as RESERVED.
    parts.board.open(pending.board_index, outcome->hold.seq, reserve.input_estimate);
  }
  return outcome;
}

/// False when a write failed: the transaction is then aborted and every verb of it dealt with.
bool VerbQueue::Impl::apply_all(Tables& tables, Batch& batch) {
  const bool admits = std::ranges::any_of(batch.span(), [](const PendingVerb* pending) {
    return std::holds_alternative<ReserveVerb>(pending->verb);
  });
  const bool crowded = admits && parts.store->crowded();
  for (PendingVerb* pending : batch.span()) {
    pending->error = {};
    pending->outcome = {};
    const Result<Outcome> outcome = apply_one(tables, *pending, crowded);
    if (outcome) {
      pending->outcome = *outcome;
      if (outcome->verdict == Verdict::refused) count(Metric::refusals);
    } else if (breaks_transaction(outcome.error().code)) {
      parts.store->abort();
      after_failure(batch, outcome.error(), false);
      return false;
    } else {
      pending->error = outcome.error();
    }
  }
  return true;
}

/// One transaction. False when the store failed; settles and voids are then in `alone` again.
bool VerbQueue::Impl::run(Batch& batch) {
  const Result<Tables*> tables = parts.store->begin();
  if (!tables) {
    after_failure(batch, tables.error(), false);
    return tables.error().code == Errc::stale_epoch;
  }
  if (!apply_all(**tables, batch)) return false;
  crash_point();
  const Result<> committed = parts.store->commit();
  crash_point();
  count(Metric::commits);
  count(Metric::verbs, batch.count);
  if (!committed) after_failure(batch, committed.error(), true);
  return committed.has_value();
}

/// Whether a verb of a failed commit is in the store all the same.
bool VerbQueue::Impl::committed_after_all(PendingVerb& pending) {
  const Result<std::optional<HoldRecord>> hold = parts.store->find_hold(hold_of(pending));
  if (!hold) return false;
  if (closes(pending)) return !hold->has_value();
  if (!hold->has_value()) return false;
  if (const auto* extend = std::get_if<ExtendVerb>(&pending.verb)) {
    return (*hold)->extensions > extend->expected_extensions;
  }
  return (*hold)->request_id == std::get<ReserveVerb>(pending.verb).request_id;
}

void VerbQueue::Impl::requeue(PendingVerb& pending) { alone.push(pending); }

/// The store failed under `batch`. What settles or voids is repeated alone, later; what asked for
/// more money is told that nothing is known (503). With an unknown outcome the holds are read again
/// first.
void VerbQueue::Impl::after_failure(Batch& batch, Error error, bool outcome_unknown) {
  count(error.code == Errc::stale_epoch ? Metric::stale_epochs : Metric::commit_errors);
  Batch answered;
  for (PendingVerb* pending : batch.span()) {
    if (error.code == Errc::stale_epoch) {
      pending->error = error;
      pending->outcome = {};
      answered.verbs[answered.count++] = pending;
      continue;
    }
    const bool was_done = outcome_unknown && pending->error.code == Errc::none &&
                          pending->outcome.verdict == Verdict::done;
    if (was_done && committed_after_all(*pending)) {
      answered.verbs[answered.count++] = pending;
      continue;
    }
    if (closes(*pending)) {
      requeue(*pending);
      continue;
    }
    if (pending->board_index != kNoBoardEntry &&
        std::holds_alternative<ReserveVerb>(pending->verb) && pending->outcome.hold.seq != 0) {
      parts.board.close(pending->board_index);
    }
    pending->error = {Errc::unavailable, Source::self, Retry::no, error.sys_errno};
    pending->outcome = {};
    answered.verbs[answered.count++] = pending;
  }
  batch = answered;
}

void VerbQueue::Impl::complete(Batch& batch) {
  for (PendingVerb* pending : batch.span()) {
    const bool closed = closes(*pending) && pending->error.code == Errc::none;
    if (closed && pending->board_index != kNoBoardEntry) parts.board.close(pending->board_index);
    pending->done(*pending);
  }
}

void VerbQueue::Impl::count_delays(const Batch& batch, TimeNs now_ns) {
  for (const PendingVerb* pending : batch.span()) {
    parts.block->add(kVerbDelays + delay_bucket(now_ns - pending->queued_at_ns_));
  }
}

VerbQueue::VerbQueue(const QueueParts& parts) : impl_(std::make_unique<Impl>(parts)) {}

VerbQueue::VerbQueue(Environment& environment, const SlotLock& slot)
    : VerbQueue(QueueParts{&environment.store(), &environment.boards().gate(),
                           environment.boards().meter(slot.slot()),
                           &environment.boards().shard(slot.slot()),
                           &environment.boards().admission(), slot.slot(), environment.epoch()}) {}

VerbQueue::~VerbQueue() = default;

void VerbQueue::submit(PendingVerb& verb, TimeNs now_monotonic_ns) {
  SLUICE_ASSERT(verb.done != nullptr && verb.next_ == nullptr);
  verb.error = {};
  verb.queued_at_ns_ = now_monotonic_ns;
  if (closes(verb)) {
    impl_->closers.push(verb);
  } else if (std::holds_alternative<ReserveVerb>(verb.verb)) {
    impl_->reserves.push(verb);
  } else {
    impl_->changes.push(verb);
  }
}

bool VerbQueue::empty() const { return impl_->size() == 0; }
std::size_t VerbQueue::size() const { return impl_->size(); }

VerbQueue::Turn VerbQueue::commit_turn(TimeNs now_monotonic_ns) {
  Impl& q = *impl_;
  if (q.size() == 0) return Turn::idle;
  const std::size_t refused = q.refuse_while_stopped(now_monotonic_ns);
  if (q.size() == 0) return Turn::committed;
  if (!q.enter_gate(now_monotonic_ns)) return refused > 0 ? Turn::committed : Turn::busy;

  const TimeNs from = system_clock().monotonic_ns();
  Impl::Batch batch;
  bool worked = true;
  if (q.alone.head != nullptr) {
    batch.verbs[batch.count++] = q.alone.pop();
    worked = q.run(batch);
  } else {
    batch.take_from(q.closers);
    batch.take_from(q.changes);
    batch.take_from(q.reserves);
    worked = q.run(batch);
  }
  q.parts.gate->leave();
  const TimeNs until = system_clock().monotonic_ns();
  q.count(Metric::commit_ns, static_cast<std::uint64_t>(until - from));
  q.count_delays(batch, until);
  q.parts.block->set(static_cast<std::size_t>(Metric::verb_queue_depth), q.size());
  const bool answered = batch.count > 0;
  q.complete(batch);
  if (!worked && q.alone.head != nullptr) q.fail_waiting(batch);
  return answered || worked ? Turn::committed : Turn::busy;
}

/// A settle that cannot be written is waited for; those behind it that want money are not kept
/// waiting.
void VerbQueue::Impl::fail_waiting(Batch& batch) {
  batch = {};
  batch.take_from(changes);
  batch.take_from(reserves);
  for (PendingVerb* pending : batch.span()) {
    pending->error = {Errc::unavailable};
    pending->outcome = {};
  }
  complete(batch);
}

bool VerbQueue::drain(TimeNs limit_ns) {
  const TimeNs until = system_clock().monotonic_ns() + limit_ns;
  while (!empty()) {
    const TimeNs now = system_clock().monotonic_ns();
    if (now > until) return false;
    if (commit_turn(now) == Turn::busy) std::this_thread::yield();
  }
  return true;
}

}  // namespace sluice::state
