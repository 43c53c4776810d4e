#include "sluice/ring/timer.hpp"

#include <algorithm>

#include "sluice/base/assert.hpp"

namespace sluice::ring {

void Timer::disarm() noexcept {
  if (deadline_ns_ == 0) return;
  deadline_ns_ = 0;
  wheel_->unlink(*this);
}

TimerWheel::TimerWheel(TimeNs now_ns) : reached_ns_(now_ns - now_ns % kSlotNs) {}

void TimerWheel::link(Timer& timer, TimeNs deadline_ns) noexcept {
  // A deadline that has passed already goes into the next slot to be looked at.
  timer.linked_ns_ = std::max(deadline_ns, reached_ns_);
  Head& head = slots_[slot_of(timer.linked_ns_)];
  timer.previous_ = nullptr;
  timer.next_ = head.first;
  if (head.first != nullptr) head.first->previous_ = &timer;
  head.first = &timer;
  ++armed_;
}

void TimerWheel::unlink(Timer& timer) noexcept {
  if (cursor_ == &timer) cursor_ = timer.next_;
  if (timer.previous_ != nullptr) {
    timer.previous_->next_ = timer.next_;
  } else {
    slots_[slot_of(timer.linked_ns_)].first = timer.next_;
  }
  if (timer.next_ != nullptr) timer.next_->previous_ = timer.previous_;
  timer.previous_ = nullptr;
  timer.next_ = nullptr;
  --armed_;
}

void TimerWheel::arm(Timer& timer, TimeNs deadline_ns) noexcept {
  SLUICE_ASSERT(deadline_ns > 0);
  if (timer.armed()) {
    if (deadline_ns >= timer.linked_ns_) {
      timer.deadline_ns_ = deadline_ns;
      return;
    }
    unlink(timer);
  }
  timer.wheel_ = this;
  timer.deadline_ns_ = deadline_ns;
  link(timer, deadline_ns);
}

void TimerWheel::expire_slot(std::size_t slot, TimeNs now_ns) {
  for (cursor_ = slots_[slot].first; cursor_ != nullptr;) {
    Timer& timer = *cursor_;
    cursor_ = timer.next_;
    if (timer.linked_ns_ > now_ns) continue;  // of a later round
    const TimeNs deadline_ns = timer.deadline_ns_;
    unlink(timer);
    if (deadline_ns > now_ns) {
      link(timer, deadline_ns);  // it was moved since
      continue;
    }
    timer.deadline_ns_ = 0;
    timer.callback_(timer, timer.context_);
  }
}

void TimerWheel::advance(TimeNs now_ns) {
  if (now_ns - reached_ns_ < kSlotNs) return;
  const auto slots_passed = static_cast<std::size_t>((now_ns - reached_ns_) / kSlotNs);
  const std::size_t first = static_cast<std::size_t>(reached_ns_ / kSlotNs + 1) % kSlots;
  reached_ns_ += static_cast<TimeNs>(slots_passed) * kSlotNs;
  if (armed_ == 0) return;
  for (std::size_t i = 0; i < std::min(slots_passed, kSlots); ++i) {
    expire_slot((first + i) % kSlots, now_ns);
  }
}

TimeNs TimerWheel::wait_ns(TimeNs now_ns, TimeNs most_ns) const noexcept {
  if (armed_ == 0) return most_ns;
  // Look ahead as far as `most_ns`; an empty stretch of slots is a few loads.
  const std::size_t first = static_cast<std::size_t>(reached_ns_ / kSlotNs + 1) % kSlots;
  for (std::size_t i = 0; i < kSlots; ++i) {
    const TimeNs slot_end_ns = reached_ns_ + static_cast<TimeNs>(i + 1) * kSlotNs;
    if (slot_end_ns - now_ns >= most_ns) return most_ns;
    if (slots_[(first + i) % kSlots].first != nullptr) {
      return std::max<TimeNs>(slot_end_ns - now_ns, 0);
    }
  }
  return most_ns;
}

}  // namespace sluice::ring
