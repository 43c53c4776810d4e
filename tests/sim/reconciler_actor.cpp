// The reconciler of production, whole.
#include <unistd.h>

#include <memory>
#include <string>

#include "actor.hpp"
#include "sluice/base/ip_address.hpp"
#include "sluice/reconcile/reconciler.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::sim {
namespace {

reconcile::Options options_of(const Stage& stage) {
  reconcile::Options options;
  options.state_directory = stage.state_directory.data();
  options.map_bytes = stage.map_bytes;
  options.slots = kSlots;
  options.meter_entries = kMeterEntries;
  options.database = stage.database.data();
  options.boot_id_file = stage.boot_id.data();
  options.max_undrained_nanos = 0;
  // Providers of the simulator have addresses and no names: no thread is ever needed.
  options.lookup = [](const std::string&) -> Result<std::vector<IpAddress>> {
    return fail(Errc::not_found);
  };
  return options;
}

void live(Stage& stage, Seat& seat) {
  const StageClock clock(seat);
  std::unique_ptr<reconcile::Reconciler> reconciler;
  for (;;) {
    const Command& command = next_command(seat);
    if (command.what == Do::start) {
      std::string message;
      auto started = reconcile::Reconciler::start(options_of(stage), clock, message);
      if (started) {
        reconciler = std::move(*started);
        seat.reply.origin = static_cast<std::uint8_t>(reconciler->origin());
        seat.reply.epoch = reconciler->environment().epoch();
      } else {
        seat.reply.error = started.error().code;
        say(seat, message);
      }
    } else if (command.what == Do::step) {
      if (const auto stepped = reconciler->step(); !stepped)
        seat.reply.error = stepped.error().code;
    } else {
      int stop[2];
      if (pipe(stop) != 0 || write(stop[1], "", 1) != 1) return;
      static_cast<void>(reconciler->run(stop[0]));
      return;
    }
    answer(seat);
  }
}

}  // namespace

void act_reconciler(Stage& stage, Seat& seat) {
  live(stage, seat);
  _exit(0);
}

}  // namespace sluice::sim
