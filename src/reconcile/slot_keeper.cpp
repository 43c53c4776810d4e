#include "slot_keeper.hpp"

#include "sluice/base/log.hpp"
#include "sluice/state/inspect.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kLeftFreeNs = 5 * kSecond;
constexpr std::size_t kExpireAtOnce = 64;

}  // namespace

SlotKeeper::SlotKeeper(state::Environment& environment, const Clock& clock,
                       std::string state_directory)
    : environment_(environment),
      clock_(clock),
      directory_(std::move(state_directory)),
      slots_(environment.meta().slots) {
  for (Slot& slot : slots_) slot.free_since_ns = clock.monotonic_ns();
}

Result<bool> SlotKeeper::needs_reaping(state::SlotId number, const Slot& slot) {
  if (!slot.reaped) return true;
  const auto record = environment_.find_slot(number);
  if (!record) return std::unexpected(record.error());
  // A shard that came and went between two looks has reaped itself (incarnation) or made holds.
  return record->incarnation != slot.reaped_incarnation || record->hold_seq != slot.reaped_hold_seq;
}

Result<> SlotKeeper::reap(const state::SlotLock& lock, Slot& slot,
                          const state::PricesInForce& prices) {
  const state::SlotId number = lock.slot();
  const auto totals = state::reap_slot(environment_, lock, prices.lookup());
  if (!totals) return std::unexpected(totals.error());
  const auto record = environment_.find_slot(number);
  if (!record) return std::unexpected(record.error());
  slot.reaped = true;
  slot.reaped_incarnation = record->incarnation;
  slot.reaped_hold_seq = record->hold_seq;
  if (totals->settled + totals->voided > 0) {
    log_line(LogLevel::warning, "reconcile",
             "slot " + std::to_string(number) + " was left with open holds: " +
                 std::to_string(totals->settled) + " charged (" + std::to_string(totals->charged) +
                 " nanos), " + std::to_string(totals->voided) + " voided");
  }
  return {};
}

Result<> SlotKeeper::step() {
  const TimeNs now_ns = clock_.monotonic_ns();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const auto number = static_cast<state::SlotId>(i);
    const auto locked = state::slot_is_locked(directory_, number);
    if (!locked) return std::unexpected(locked.error());
    if (*locked) {
      slot.locked = true;
      slot.reaped = false;
      continue;
    }
    if (slot.locked) {
      slot.locked = false;
      slot.free_since_ns = now_ns;
      // The dead may have left a reader's place behind, which pins pages.
      if (auto checked = environment_.check_readers(); !checked)
        return std::unexpected(checked.error());
    }
    if (now_ns - slot.free_since_ns < kLeftFreeNs) continue;
    const auto needed = needs_reaping(number, slot);
    if (!needed) return std::unexpected(needed.error());
    if (!*needed) continue;
    const auto lock = state::SlotLock::acquire(directory_, number);
    if (!lock && lock.error().code == Errc::conflict) continue;  // taken meanwhile: his to reap
    if (!lock) return std::unexpected(lock.error());
    const auto prices = state::PricesInForce::load(environment_);
    if (!prices) return std::unexpected(prices.error());
    if (auto reaped = reap(*lock, slot, *prices); !reaped) return reaped;
  }
  return {};
}

Result<> SlotKeeper::reap_all(const state::AllSlots& held) {
  const auto prices = state::PricesInForce::load(environment_);
  if (!prices) return std::unexpected(prices.error());
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (auto reaped = reap(held.slot(static_cast<state::SlotId>(i)), slots_[i], *prices); !reaped)
      return reaped;
  }
  return {};
}

Result<> SlotKeeper::expire_leaked() {
  const TimeNs now_ns = clock_.monotonic_ns();
  std::vector<state::HoldId> overdue;
  if (auto found = state::overdue_holds(environment_, now_ns, kExpireAtOnce, overdue); !found) {
    return std::unexpected(found.error());
  }
  for (const state::HoldId& hold : overdue) {
    // Without an owner it is the reaper's, who knows from the board what to charge.
    const auto locked = state::slot_is_locked(directory_, hold.slot);
    if (!locked) return std::unexpected(locked.error());
    if (!*locked) continue;
    const auto expired = state::Writer(environment_).expire(hold, now_ns);
    if (!expired && expired.error().code != Errc::not_found)
      return std::unexpected(expired.error());
    if (expired && expired->verdict == state::Verdict::done) {
      log_line(LogLevel::warning, "reconcile",
               "hold " + std::to_string(hold.seq) + " of slot " + std::to_string(hold.slot) +
                   " outlived its deadline: voided");
    }
  }
  return {};
}

}  // namespace sluice::reconcile
