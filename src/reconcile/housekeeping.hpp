// What has to be looked at from time to time: slots whose shard died, holds that leaked, readers that died, how full
// the map is, rows that are old enough to go.
#pragma once

#include <map>

#include "price_book.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/state/inspect.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {

struct HousekeepingCounts {
  std::uint64_t reaped_slots = 0;
  std::uint64_t reaped_holds = 0;
  std::uint64_t expired_holds = 0;
  std::uint64_t dead_readers = 0;
  std::uint64_t removed_rows = 0;
};

class Housekeeping {
 public:
  /// A slot that is free for this long with holds in it is reaped here; a replacement shard is usually faster.
  static constexpr TimeNs kFreeSlotNs = 5 * kSecond;

  Housekeeping(ledger::Ledger& ledger, state::Environment& environment, const Clock& clock, std::string state_directory,
               std::uint32_t usage_days);

  /// Cheap; does each job when it is due. `prices`: of the last catalog.
  void run(const PriceBook& prices);
  /// Row 5 for slots that have been free long enough.
  void reap_free_slots(const PriceBook& prices);
  /// Row 6.
  void expire_overdue();
  [[nodiscard]] const HousekeepingCounts& counts() const { return counts_; }

 private:
  void watch_map();
  void remove_old_usage();

  ledger::Ledger& ledger_;
  state::Environment& environment_;
  state::Writer writer_;
  const Clock& clock_;
  const std::string state_directory_;
  const std::uint32_t usage_days_;
  std::map<state::SlotId, TimeNs> free_since_ns_;
  TimeNs next_slots_ns_ = 0;
  TimeNs next_map_ns_ = 0;
  TimeNs next_readers_ns_ = 0;
  TimeNs next_removal_ns_ = 0;
  HousekeepingCounts counts_;
};

}  // namespace sluice::reconcile
