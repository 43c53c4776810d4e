// Deadlines in user space. A timer that is moved to a later deadline is not relinked: it looks at
// its deadline again when its slot comes up, so that pushing a time-out with every chunk costs one
// store.
#pragma once

#include <array>
#include <cstddef>

#include "sluice/base/units.hpp"

namespace sluice::ring {

class TimerWheel;

/// One deadline with a callback. Not movable while armed; disarms itself on destruction.
class Timer {
 public:
  using Callback = void (*)(Timer& timer, void* context);
  Timer() = default;
  Timer(Callback callback, void* context) : callback_(callback), context_(context) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { disarm(); }

  [[nodiscard]] bool armed() const noexcept { return deadline_ns_ != 0; }
  [[nodiscard]] TimeNs deadline_ns() const noexcept { return deadline_ns_; }
  void disarm() noexcept;

 private:
  friend class TimerWheel;
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  TimerWheel* wheel_ = nullptr;
  TimeNs deadline_ns_ = 0;  ///< monotonic; 0 = not armed
  TimeNs linked_ns_ = 0;    ///< the deadline by which its slot was chosen
  Callback callback_ = nullptr;
  void* context_ = nullptr;
};

/// Hashed wheel: 1,024 slots of 4 ms. A deadline fires up to one slot late, never early.
class TimerWheel {
 public:
  explicit TimerWheel(TimeNs now_ns);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Arms (or moves) `timer` to a monotonic deadline > 0.
  void arm(Timer& timer, TimeNs deadline_ns) noexcept;

  /// Calls back every timer whose deadline has passed. Callbacks may arm and disarm any timer.
  void advance(TimeNs now_ns);

  /// Nanoseconds until the next slot that may hold a due timer, at most `most_ns`.
  [[nodiscard]] TimeNs wait_ns(TimeNs now_ns, TimeNs most_ns) const noexcept;

  [[nodiscard]] std::size_t armed() const noexcept { return armed_; }

  static constexpr TimeNs kSlotNs = 4 * kMillisecond;
  static constexpr std::size_t kSlots = 1024;

 private:
  friend class Timer;
  struct Head {
    Timer* first = nullptr;
  };
  void link(Timer& timer, TimeNs deadline_ns) noexcept;
  void unlink(Timer& timer) noexcept;
  void expire_slot(std::size_t slot, TimeNs now_ns);
  [[nodiscard]] static std::size_t slot_of(TimeNs deadline_ns) noexcept {
    return static_cast<std::size_t>(deadline_ns / kSlotNs + 1) % kSlots;
  }

  std::array<Head, kSlots> slots_{};
  TimeNs reached_ns_;  ///< every slot before this time has been looked at
  std::size_t armed_ = 0;
  Timer* cursor_ = nullptr;  ///< next timer of the slot that is being expired
};

}  // namespace sluice::ring
