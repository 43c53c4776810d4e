#include "housekeeping.hpp"

#include <set>
#include <string>

#include "sluice/base/log.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kSlotsEveryNs = kSecond;
constexpr TimeNs kMapEveryNs = 100 * kMillisecond;
constexpr TimeNs kReadersEveryNs = 5 * kSecond;
constexpr TimeNs kRemovalEveryNs = 60 * kSecond;
constexpr std::int64_t kBatchesRemovedAtOnce = 4;
constexpr std::size_t kExpiredAtOnce = 64;
constexpr std::uint64_t kMapStopPercent = 70;

bool due(TimeNs& next_ns, TimeNs now_ns, TimeNs every_ns) {
  if (now_ns < next_ns) return false;
  next_ns = now_ns + every_ns;
  return true;
}

}  // namespace

Housekeeping::Housekeeping(ledger::Ledger& ledger, state::Environment& environment, const Clock& clock,
                           std::string state_directory, std::uint32_t usage_days)
    : ledger_(ledger), environment_(environment), writer_(environment), clock_(clock),
      state_directory_(std::move(state_directory)), usage_days_(usage_days) {}

void Housekeeping::run(const PriceBook& prices) {
  const TimeNs now_ns = clock_.monotonic_ns();
  if (due(next_map_ns_, now_ns, kMapEveryNs)) watch_map();
  if (due(next_slots_ns_, now_ns, kSlotsEveryNs)) {
    reap_free_slots(prices);
    expire_overdue();
  }
  if (due(next_readers_ns_, now_ns, kReadersEveryNs)) {
    if (const auto dead = environment_.check_readers(); dead && *dead > 0) {
      counts_.dead_readers += static_cast<std::uint64_t>(*dead);
    }
  }
  if (due(next_removal_ns_, now_ns, kRemovalEveryNs)) remove_old_usage();
}

// Row 5 by R.
void Housekeeping::reap_free_slots(const PriceBook& prices) {
  const TimeNs now_ns = clock_.monotonic_ns();
  std::set<state::SlotId> ripe;
  for (state::SlotId slot = 0; slot < environment_.meta().slots; ++slot) {
    const auto locked = state::slot_is_locked(state_directory_, slot);
    if (!locked || *locked) {
      free_since_ns_.erase(slot);
      continue;
    }
    const auto since = free_since_ns_.try_emplace(slot, now_ns).first->second;
    if (now_ns - since >= kFreeSlotNs) ripe.insert(slot);
  }
  if (ripe.empty()) return;
  state::StateCopy copy;
  if (!state::copy_state(environment_, state::kCopyHolds, copy)) return;
  std::set<state::SlotId> in_use;
  for (const state::HoldRow& hold : copy.holds) in_use.insert(hold.id.slot);
  for (const state::SlotId slot : ripe) {
    if (!in_use.contains(slot)) continue;
    auto lock = state::SlotLock::acquire(state_directory_, slot);
    if (!lock) continue;  // a replacement came
    const auto reaped = state::reap_slot(environment_, *lock, prices.lookup());
    if (!reaped) {
      log_line(LogLevel::error, "reconcile",
               "slot " + std::to_string(slot) + " cannot be reaped: " + std::string(to_string(reaped.error().code)));
      continue;
    }
    ++counts_.reaped_slots;
    counts_.reaped_holds += reaped->settled + reaped->voided;
    log_line(LogLevel::warning, "reconcile",
             "slot " + std::to_string(slot) + ": closed " + std::to_string(reaped->settled + reaped->voided) +
                 " holds of a shard that died");
  }
}

void Housekeeping::expire_overdue() {
  const TimeNs now_ns = clock_.monotonic_ns();
  std::vector<state::HoldId> overdue;
  if (!state::overdue_holds(environment_, now_ns, kExpiredAtOnce, overdue)) return;
  for (const state::HoldId& hold : overdue) {
    // Holds of a free slot are reaped, by what their board says.
    const auto locked = state::slot_is_locked(state_directory_, hold.slot);
    if (!locked || !*locked) continue;
    const auto expired = writer_.expire(hold, now_ns);
    if (expired && expired->verdict == state::Verdict::done) ++counts_.expired_holds;
  }
}

void Housekeeping::watch_map() {
  const auto use = environment_.map_use();
  if (!use || use->map_pages == 0) return;
  auto& stop = environment_.boards().admission().stop;
  const std::uint32_t before = stop.load(std::memory_order_relaxed);
  const bool full = (use->map_pages - use->free_pages()) * 100 >= use->map_pages * kMapStopPercent;
  const std::uint32_t after = full ? before | state::kStopMapFull : before & ~std::uint32_t{state::kStopMapFull};
  if (after == before) return;
  stop.store(after, std::memory_order_relaxed);
  log_line(full ? LogLevel::error : LogLevel::info, "reconcile",
           full ? "the shared state is over 70 % full: new requests are refused" : "the shared state has room again");
}

void Housekeeping::remove_old_usage() {
  const TimeNs before_ns = clock_.realtime_ns() - static_cast<TimeNs>(usage_days_) * 86'400 * kSecond;
  const auto removed = ledger_.usage().remove_before(before_ns, kBatchesRemovedAtOnce);
  if (!removed) return;
  counts_.removed_rows += static_cast<std::uint64_t>(*removed);
  // More may be waiting: go on soon, in pieces that keep nobody waiting.
  if (*removed > 0) next_removal_ns_ = clock_.monotonic_ns() + 200 * kMillisecond;
}

}  // namespace sluice::reconcile
