// The loop of one shard: takes completions, resumes coroutines, runs the end-of-turn hook, submits.
// Everything on it runs on one thread.
#pragma once

#include <array>
#include <coroutine>
#include <cstdint>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/delay_buckets.hpp"
#include "sluice/base/prefetch.hpp"
#include "sluice/ring/buffer.hpp"
#include "sluice/ring/port.hpp"
#include "sluice/ring/timer.hpp"

namespace sluice::ring {

class Reactor;

/// One operation that is or will be in flight. Lives in an object that outlives the operation (a
/// stream, a listener), never in a coroutine frame that may end first: its destructor asserts that
/// nothing is in flight.
class Operation {
 public:
  /// Called for each completion; after one with more == false the operation may be started again.
  using Callback = void (*)(void* context, const Completion& completion);

  Operation(Callback callback, void* context) : callback_(callback), context_(context) {}
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation() { SLUICE_ASSERT(!in_flight()); }

  [[nodiscard]] bool in_flight() const noexcept { return slot_ != kNoSlot; }

 private:
  friend class Reactor;
  static constexpr std::uint32_t kNoSlot = 0xffff'ffff;
  Callback callback_;
  void* context_;
  std::uint32_t slot_ = kNoSlot;
};

struct ReactorOptions {
  /// Most that a turn looks for completions before it sleeps; less the more completions turns have.
  TimeNs spin_ns = 0;
  std::uint32_t operation_slots =
      4096;  ///< slots at the start; there are as many as were ever in flight at once
};

struct ReactorStats {
  std::uint64_t turns = 0;
  std::uint64_t completions = 0;
  std::uint64_t sleeps = 0;
  std::uint64_t starved_receives = 0;   ///< a receive found no provided buffer
  std::uint64_t stale_completions = 0;  ///< completions of operations that had ended
  TimeNs longest_turn_ns = 0;
  std::array<std::uint64_t, kDelayBuckets> turn_delays{};  ///< how long turns worked
};

class Reactor {
 public:
  /// Returns how long the turn may sleep at most; 0 when more work waits that no completion
  /// announces.
  using TurnHook = TimeNs (*)(void* context);

  Reactor(RingPort& port, const Clock& clock, ReactorOptions options);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  /// Starts `operation` (not in flight). `submission.user_data` is filled in here.
  void start(Operation& operation, Submission submission);
  /// Asks the kernel to end `operation`. Its own last completion tells when it has ended.
  void cancel(Operation& operation);

  /// Resumes `handle` later in this turn.
  void ready(std::coroutine_handle<> handle) {
    constexpr std::size_t kFrameBytes = 512;  // what most frames have, of others the first part
    prefetch(handle.address(), kFrameBytes);
    ready_.push_back(handle);
  }

  /// A descriptor that will have many operations, until forget(), which comes before its close
  /// (RingPort::keep).
  void keep(int fd) { port_.keep(fd); }
  void forget(int fd) { port_.forget(fd); }

  struct YieldAwaiter {
    Reactor& reactor;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { reactor.yielded_.push_back(handle); }
    void await_resume() const noexcept {}
  };
  /// Suspends until the next turn: what has completed by then comes first.
  [[nodiscard]] YieldAwaiter yield() noexcept { return {*this}; }

  /// Runs turns until stop().
  void run();
  /// Runs one turn; waits up to `wait_ns` when nothing is ready.
  void run_turn(TimeNs wait_ns);
  void stop() noexcept { stopped_ = true; }

  /// Called in each turn after the coroutines have run and before sleeping: the place where the
  /// verbs that the turn gathered are committed. Coroutines that it makes ready run in the same
  /// turn.
  void set_turn_hook(TurnHook hook, void* context) noexcept {
    turn_hook_ = hook;
    turn_context_ = context;
  }

  [[nodiscard]] TimerWheel& timers() noexcept { return timers_; }
  [[nodiscard]] BufferPool& buffers() noexcept { return buffers_; }
  /// Monotonic time at the start of this turn's work: one clock read a turn.
  [[nodiscard]] TimeNs now_ns() const noexcept { return now_ns_; }
  /// The same by the realtime clock: read when a turn first asks.
  [[nodiscard]] TimeNs realtime_ns() noexcept {
    if (realtime_at_ns_ != now_ns_) {
      realtime_ns_ = clock_.realtime_ns();
      realtime_at_ns_ = now_ns_;
    }
    return realtime_ns_;
  }
  [[nodiscard]] const Clock& clock() const noexcept { return clock_; }
  [[nodiscard]] const ReactorStats& stats() const noexcept { return stats_; }
  /// Completions of this turn.
  [[nodiscard]] std::size_t turn_completions() const noexcept { return turn_completions_; }
  /// There were as many as a turn takes: some are left.
  [[nodiscard]] bool turn_is_full() const noexcept {
    return turn_completions_ == completions_.size();
  }
  void count_starved_receive() noexcept { ++stats_.starved_receives; }

 private:
  struct Slot {
    Operation* operation = nullptr;
    std::uint32_t generation = 0;
    std::uint32_t next_free = 0;
  };
  void dispatch(const Completion& completion);
  void fetch_slot(const Completion& completion) const noexcept;
  void fetch_owner(const Completion& completion) const noexcept;
  void add_slots(std::size_t count);
  void run_ready();
  [[nodiscard]] bool spin(TimeNs wait_ns);

  RingPort& port_;
  const Clock& clock_;
  ReactorOptions options_;
  BufferPool buffers_;
  TimeNs now_ns_;
  TimeNs realtime_ns_ = 0;
  TimeNs realtime_at_ns_ = -1;  ///< now_ns_ when it was read
  TimerWheel timers_;
  std::vector<Slot> slots_;
  std::uint32_t first_free_ = 0;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
  std::vector<std::coroutine_handle<>> yielded_;  ///< for the next turn
  std::vector<Completion> completions_;
  TurnHook turn_hook_ = nullptr;
  void* turn_context_ = nullptr;
  TimeNs spin_now_ns_;     ///< current length of the adaptive spin
  std::int64_t load_ = 0;  ///< completions of a turn that had some, in 64ths, over about 16 turns
  ReactorStats stats_;
  std::size_t turn_completions_ = 0;
  bool stopped_ = false;
};

}  // namespace sluice::ring
