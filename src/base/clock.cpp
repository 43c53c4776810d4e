#include "sluice/base/clock.hpp"

#include <ctime>

namespace sluice {
namespace {

TimeNs read_ns(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimeNs monotonic_ns() const override { return read_ns(CLOCK_MONOTONIC); }
  [[nodiscard]] TimeNs realtime_ns() const override { return read_ns(CLOCK_REALTIME); }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace sluice
