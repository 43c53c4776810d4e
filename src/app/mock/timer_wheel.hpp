// Timers of the stand-in: a hashed wheel of 2^18 ns (0.26 ms) ticks, 4,096 slots, so about a second
// a turn. A timer further away goes round more than once. Setting and cancelling cost a few
// nanoseconds.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::mock {

/// Part of the object that waits. Linked in at most one wheel; must be cancelled before it is
/// destroyed.
struct Timer {
  Timer* next = nullptr;
  Timer* previous = nullptr;
  std::int64_t due_ns = 0;
  [[nodiscard]] bool armed() const { return next != nullptr; }
};

class TimerWheel {
 public:
  explicit TimerWheel(std::int64_t now_ns);

  /// Arms `timer` for `due_ns` (CLOCK_MONOTONIC), or moves it there.
  void set(Timer& timer, std::int64_t due_ns);
  void cancel(Timer& timer);

  /// Nanoseconds until the next tick that may hold a due timer; -1 when no timer is armed.
  [[nodiscard]] std::int64_t wait_ns(std::int64_t now_ns) const;

  /// Calls `fire(Timer&)` for each timer that is due. The callback may set and cancel timers.
  template <class Fire>
  void advance(std::int64_t now_ns, Fire&& fire) {
    const std::int64_t last = now_ns >> kTickShift;
    // Moved first: what a callback sets lands in the last slot or later, and that slot is walked
    // again next time.
    std::int64_t tick = std::max(tick_, last - static_cast<std::int64_t>(kSlots) + 1);
    tick_ = last;
    for (; tick <= last; ++tick) fire_slot(tick, now_ns, fire);
  }

 private:
  static constexpr int kTickShift = 18;
  static constexpr std::size_t kSlots = 4096;

  template <class Fire>
  void fire_slot(std::int64_t tick, std::int64_t now_ns, Fire&& fire) {
    Timer& head = slots_[static_cast<std::size_t>(tick) % kSlots];
    // The due ones move to a list of their own first: the callback may link new timers into this
    // slot.
    Timer due;
    due.next = due.previous = &due;
    for (Timer* timer = head.next; timer != &head;) {
      Timer* const following = timer->next;
      if (timer->due_ns <= now_ns) {
        unlink(*timer);
        link_before(due, *timer);
      }
      timer = following;
    }
    while (due.next != &due) {
      Timer& timer = *due.next;
      cancel(timer);
      fire(timer);
    }
  }

  static void link_before(Timer& head, Timer& timer);
  static void unlink(Timer& timer);

  std::array<Timer, kSlots> slots_;
  std::int64_t tick_;
  std::size_t armed_ = 0;
};

}  // namespace sluice::mock
