// What every actor needs: its step, its clock, and the way it dies.
#pragma once

#include <string_view>

#include "sluice/base/clock.hpp"
#include "stage.hpp"

namespace sluice::sim {

/// The time that the simulator says it is.
class StageClock final : public Clock {
 public:
  explicit StageClock(const Seat& seat) : seat_(seat) {}
  [[nodiscard]] TimeNs monotonic_ns() const override { return seat_.command.monotonic_ns; }
  [[nodiscard]] TimeNs realtime_ns() const override { return seat_.command.realtime_ns; }

 private:
  const Seat& seat_;
};

/// Waits for the next command; from then on crash points count for it.
Command& next_command(Seat& seat);
/// Tells that the command was carried out.
void answer(Seat& seat);
void say(Seat& seat, std::string_view message);

/// Counts one call that can fail, and says whether this one does (Command::inject).
[[nodiscard]] bool fails(Inject kind) noexcept;
/// Lets SQLite's memory fail as well. To be called first of all in main().
void watch_memory_of_sqlite();

/// Writes to files are failing (Command::disk_full_at). Asked by the seam under SQLite.
[[nodiscard]] bool disk_is_full();
/// A write of SQLite is a crash point as well.
void before_write();

}  // namespace sluice::sim
