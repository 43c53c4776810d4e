// The two clocks, behind a seam so that tests and the simulator own time.
#pragma once

#include "sluice/base/units.hpp"

namespace sluice {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Nanoseconds that never go back (CLOCK_MONOTONIC): deadlines and durations.
  [[nodiscard]] virtual TimeNs monotonic_ns() const = 0;
  /// Nanoseconds since 1970 UTC (CLOCK_REALTIME): dates in records. May jump either way.
  [[nodiscard]] virtual TimeNs realtime_ns() const = 0;
};

/// The machine's clocks. Lives as long as the program.
[[nodiscard]] const Clock& system_clock();

/// A clock that stands still until it is told.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(TimeNs realtime_start_ns = 1'800'000'000 * kSecond)
      : realtime_ns_(realtime_start_ns) {}
  [[nodiscard]] TimeNs monotonic_ns() const override { return monotonic_ns_; }
  [[nodiscard]] TimeNs realtime_ns() const override { return realtime_ns_; }
  void advance(TimeNs by_ns) {
    monotonic_ns_ += by_ns;
    realtime_ns_ += by_ns;
  }
  void set_realtime_ns(TimeNs at_ns) { realtime_ns_ = at_ns; }

 private:
  TimeNs monotonic_ns_ = kSecond;
  TimeNs realtime_ns_;
};

}  // namespace sluice
