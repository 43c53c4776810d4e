#include "sluice/ring/reactor.hpp"

#include <algorithm>

namespace sluice::ring {
namespace {

constexpr std::size_t kCompletionsATurn = 512;
// Completions: as long as a miss takes. The owner is found by the slot, which may be a miss, too.
constexpr std::size_t kFetchAhead = 4;
constexpr std::size_t kFetchSlotsAhead = 8;
constexpr TimeNs kSleepMostNs = 100 * kMillisecond;
constexpr std::int64_t kLoadUnit = 64;  ///< one completion a turn
constexpr std::int64_t kLoadTurns = 16;

}  // namespace

Reactor::Reactor(RingPort& port, const Clock& clock, ReactorOptions options)
    : port_(port),
      clock_(clock),
      options_(options),
      buffers_(port),
      now_ns_(clock.monotonic_ns()),
      timers_(now_ns_),
      completions_(kCompletionsATurn),
      spin_now_ns_(options.spin_ns) {
  add_slots(std::max(options.operation_slots, 1U));
  ready_.reserve(1024);
  running_.reserve(1024);
  yielded_.reserve(64);
}

// All slots are in use: they are bounded by the descriptors of the process, which is no reason to
// reserve so many.
void Reactor::add_slots(std::size_t count) {
  const std::size_t before = slots_.size();
  slots_.resize(before + count);
  for (std::size_t i = before; i < slots_.size(); ++i) {
    slots_[i].next_free = static_cast<std::uint32_t>(i + 1);
  }
  first_free_ = static_cast<std::uint32_t>(before);
}

void Reactor::start(Operation& operation, Submission submission) {
  SLUICE_ASSERT(!operation.in_flight());
  if (first_free_ == slots_.size()) add_slots(slots_.size());
  const std::uint32_t index = first_free_;
  Slot& slot = slots_[index];
  first_free_ = slot.next_free;
  slot.operation = &operation;
  operation.slot_ = index;
  submission.user_data = (static_cast<std::uint64_t>(slot.generation) << 32U) | index;
  port_.prepare(submission);
}

void Reactor::cancel(Operation& operation) {
  if (!operation.in_flight()) return;
  const Slot& slot = slots_[operation.slot_];
  Submission submission{.code = OpCode::cancel};
  submission.target = (static_cast<std::uint64_t>(slot.generation) << 32U) | operation.slot_;
  // The cancel's own completion says nothing that the target's does not: an index beyond the slots.
  submission.user_data = Operation::kNoSlot;
  port_.prepare(submission);
}

void Reactor::fetch_slot(const Completion& completion) const noexcept {
  const auto index = static_cast<std::uint32_t>(completion.user_data);
  if (index < slots_.size()) prefetch(&slots_[index], sizeof(Slot));
}

// An operation is a member of what it serves: that lies around it.
void Reactor::fetch_owner(const Completion& completion) const noexcept {
  const auto index = static_cast<std::uint32_t>(completion.user_data);
  if (index >= slots_.size() || slots_[index].operation == nullptr) return;
  prefetch(reinterpret_cast<const char*>(slots_[index].operation) - 128, 512);
}

void Reactor::dispatch(const Completion& completion) {
  const auto index = static_cast<std::uint32_t>(completion.user_data);
  if (index == Operation::kNoSlot) return;
  Slot& slot = slots_[index];
  if (slot.operation == nullptr ||
      slot.generation != static_cast<std::uint32_t>(completion.user_data >> 32U)) {
    ++stats_.stale_completions;
    return;
  }
  Operation& operation = *slot.operation;
  if (!completion.more) {
    slot.operation = nullptr;
    ++slot.generation;
    slot.next_free = first_free_;
    first_free_ = index;
    operation.slot_ = Operation::kNoSlot;
  }
  operation.callback_(operation.context_, completion);
}

void Reactor::run_ready() {
  while (!ready_.empty()) {
    running_.swap(ready_);
    for (const std::coroutine_handle<> handle : running_) handle.resume();
    running_.clear();
  }
}

// What a sleep costs is shared by the completions of the turn after it: where turns have many, a
// long spin costs more than it can save.
bool Reactor::spin(TimeNs wait_ns) {
  if (spin_now_ns_ <= 0) return false;
  const TimeNs shared_ns = options_.spin_ns * kLoadUnit / std::max(load_, kLoadUnit);
  const TimeNs until_ns = now_ns_ + std::min({spin_now_ns_, shared_ns, wait_ns});
  do {
    for (int i = 0; i < 16; ++i) {
      if (port_.has_events()) {
        // It paid: look as long as allowed next time.
        spin_now_ns_ = options_.spin_ns;
        return true;
      }
      __builtin_ia32_pause();
    }
  } while (clock_.monotonic_ns() < until_ns);
  // In vain: half as long next time, so that an idle shard sleeps; never below a sixteenth.
  spin_now_ns_ = std::max(spin_now_ns_ / 2, options_.spin_ns / 16);
  return false;
}

void Reactor::run_turn(TimeNs wait_ns) {
  ready_.insert(ready_.end(), yielded_.begin(), yielded_.end());
  yielded_.clear();
  run_ready();
  while (turn_hook_ != nullptr) {
    const TimeNs hook_wait_ns = turn_hook_(turn_context_);
    if (ready_.empty()) {
      wait_ns = std::min(wait_ns, hook_wait_ns);
      break;
    }
    run_ready();  // what the hook's commit resumed may have asked for another one
  }

  if (stopped_ || !yielded_.empty()) wait_ns = 0;

  const TimeNs worked_until_ns = clock_.monotonic_ns();
  const TimeNs worked_ns = worked_until_ns - now_ns_;
  stats_.longest_turn_ns = std::max(stats_.longest_turn_ns, worked_ns);
  ++stats_.turn_delays[delay_bucket(worked_ns)];
  now_ns_ = worked_until_ns;
  std::size_t count = 0;
  if (wait_ns <= 0 || options_.spin_ns > 0) count = port_.enter(completions_, 0);
  if (count == 0 && wait_ns > 0) {
    if (spin(wait_ns)) {
      count = port_.enter(completions_, 0);
    } else {
      // Without a spin this is the turn's only system call: it submits, and returns at once when
      // the submitted sends have completed.
      ++stats_.sleeps;
      count = port_.enter(completions_, timers_.wait_ns(now_ns_, wait_ns));
    }
  }
  now_ns_ = clock_.monotonic_ns();
  ++stats_.turns;
  stats_.completions += count;
  turn_completions_ = count;
  if (count > 0) load_ += (static_cast<TimeNs>(count) * kLoadUnit - load_) / kLoadTurns;
  for (std::size_t i = 0; i < std::min(count, kFetchSlotsAhead); ++i) fetch_slot(completions_[i]);
  for (std::size_t i = 0; i < std::min(count, kFetchAhead); ++i) fetch_owner(completions_[i]);
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kFetchSlotsAhead < count) fetch_slot(completions_[i + kFetchSlotsAhead]);
    if (i + kFetchAhead < count) fetch_owner(completions_[i + kFetchAhead]);
    dispatch(completions_[i]);
  }
  timers_.advance(now_ns_);
}

void Reactor::run() {
  while (!stopped_) run_turn(kSleepMostNs);
}

}  // namespace sluice::ring
