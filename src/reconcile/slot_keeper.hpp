// Rows 5 and 6: holds whose shard died and did not come back, and holds that outlived their
// deadline.
#pragma once

#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/slots.hpp"

namespace sluice::reconcile {

class SlotKeeper {
 public:
  SlotKeeper(state::Environment& environment, const Clock& clock, std::string state_directory);

  /// Looks at every slot's lock; reaps those that were left free for 5 s. Once a second is enough.
  /// Errors: corrupt (a hold cannot be closed), io.
  [[nodiscard]] Result<> step();
  /// Reaps every slot (start).
  [[nodiscard]] Result<> reap_all(const state::AllSlots& held);
  /// Expires holds that are over their deadline although their slot's owner lives.
  [[nodiscard]] Result<> expire_leaked();

 private:
  struct Slot {
    bool locked = false;
    TimeNs free_since_ns = 0;              ///< monotonic
    std::uint64_t reaped_incarnation = 0;  ///< what the slot's record said after our last reap …
    std::uint64_t reaped_hold_seq = 0;     ///< … so that nothing is reaped twice
    bool reaped = false;
  };
  [[nodiscard]] Result<bool> needs_reaping(state::SlotId number, const Slot& slot);
  [[nodiscard]] Result<> reap(const state::SlotLock& lock, Slot& slot,
                              const state::PricesInForce& prices);

  state::Environment& environment_;
  const Clock& clock_;
  std::string directory_;
  std::vector<Slot> slots_;
};

}  // namespace sluice::reconcile
