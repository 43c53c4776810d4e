#include "timer_wheel.hpp"

#include <algorithm>

namespace sluice::mock {

TimerWheel::TimerWheel(std::int64_t now_ns) : tick_(now_ns >> kTickShift) {
  for (Timer& head : slots_) head.next = head.previous = &head;
}

void TimerWheel::link_before(Timer& head, Timer& timer) {
  timer.previous = head.previous;
  timer.next = &head;
  head.previous->next = &timer;
  head.previous = &timer;
}

void TimerWheel::unlink(Timer& timer) {
  timer.previous->next = timer.next;
  timer.next->previous = timer.previous;
  timer.next = timer.previous = nullptr;
}

void TimerWheel::set(Timer& timer, std::int64_t due_ns) {
  cancel(timer);
  timer.due_ns = due_ns;
  const std::int64_t tick = std::max(due_ns >> kTickShift, tick_);
  link_before(slots_[static_cast<std::size_t>(tick) % kSlots], timer);
  ++armed_;
}

void TimerWheel::cancel(Timer& timer) {
  if (!timer.armed()) return;
  unlink(timer);
  --armed_;
}

std::int64_t TimerWheel::wait_ns(std::int64_t now_ns) const {
  if (armed_ == 0) return -1;
  std::int64_t nearest = (tick_ + static_cast<std::int64_t>(kSlots)) << kTickShift;
  for (std::size_t step = 0; step < kSlots; ++step) {
    const Timer& head = slots_[(static_cast<std::size_t>(tick_) + step) % kSlots];
    if (head.next == &head) continue;
    for (const Timer* timer = head.next; timer != &head; timer = timer->next) {
      nearest = std::min(nearest, timer->due_ns);
    }
    const std::int64_t slot_end = (tick_ + static_cast<std::int64_t>(step) + 1) << kTickShift;
    if (nearest < slot_end) break;  // nothing in a later slot can be earlier
  }
  return std::max<std::int64_t>(0, nearest - now_ns);
}

}  // namespace sluice::mock
