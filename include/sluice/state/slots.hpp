// Slots: a place for one writer of verbs. Owned by a file lock, never by a pid or a timer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "sluice/base/error.hpp"
#include "sluice/price/row.hpp"
#include "sluice/state/catalog.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/ids.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {

/// An OFD lock on byte `slot` of <directory>/slots.lock: it goes with the process, however that
/// dies, and is not inherited by children (O_CLOEXEC).
class SlotLock {
 public:
  /// Errors: conflict (somebody holds it), io.
  [[nodiscard]] static Result<SlotLock> acquire(const std::string& directory, SlotId slot);
  /// First free slot of 0 … slots-1. Errors: full (none), io.
  [[nodiscard]] static Result<SlotLock> acquire_any(const std::string& directory,
                                                    std::uint32_t slots);
  SlotLock(SlotLock&& other) noexcept;
  SlotLock& operator=(SlotLock&& other) noexcept;
  ~SlotLock();
  [[nodiscard]] SlotId slot() const { return slot_; }
  void release();

 private:
  friend class AllSlots;
  SlotLock(int fd, SlotId slot) : fd_(fd), slot_(slot) {}
  int fd_ = -1;
  SlotId slot_ = 0;
};

/// Every slot at once: held while an environment is drained and replaced, so that no shard begins
/// to work in what is about to go away.
class AllSlots {
 public:
  /// Errors: conflict (somebody holds a slot), io.
  [[nodiscard]] static Result<AllSlots> acquire(const std::string& directory);
  AllSlots(AllSlots&& other) noexcept;
  AllSlots& operator=(AllSlots&& other) noexcept;
  ~AllSlots();
  /// One of them, for reap_slot(). Holds nothing by itself.
  [[nodiscard]] SlotLock slot(SlotId slot) const { return SlotLock(-1, slot); }

 private:
  explicit AllSlots(int fd) : fd_(fd) {}
  int fd_ = -1;
};

/// Whether anybody holds the slot's lock now. Errors: io.
[[nodiscard]] Result<bool> slot_is_locked(const std::string& directory, SlotId slot);
/// Whether any slot is locked (row 14). Errors: io.
[[nodiscard]] Result<bool> any_slot_locked(const std::string& directory);

/// Finds the price row of a version; null when it is gone (then the hold is charged and flagged).
struct PriceLookup {
  const price::PriceRow* (*find)(void* context, std::uint64_t version) = nullptr;
  void* context = nullptr;
};

/// The prices that a reap charges by: those of the catalog in force. One that is damaged or gone
/// leaves its versions missing, for it will not come back; one that cannot be read now is an error
/// (holds wait rather than being charged whole).
class PricesInForce {
 public:
  /// Maps the file anew. Errors: io, stale_epoch.
  [[nodiscard]] static Result<PricesInForce> load(Environment& environment);
  /// Valid as long as this object.
  [[nodiscard]] PriceLookup lookup() const;

 private:
  std::shared_ptr<const Catalog> catalog_;
};

/// Row 5: closes every hold of the slot by what its meter board says, ≤ 32 a transaction, and
/// clears the board. The caller holds the lock. Stopped half way (death), the next holder goes on.
/// Errors: as apply().
struct ReapTotals {
  std::uint64_t voided = 0;
  std::uint64_t settled = 0;
  std::uint64_t tombstones = 0;
  Nanos charged = 0;
};
[[nodiscard]] Result<ReapTotals> reap_slot(Environment& environment, const SlotLock& lock,
                                           PriceLookup prices);

/// The exclusive lock of the one reconciler: <directory>/env.lock. Errors: conflict, io.
class EnvironmentLock {
 public:
  [[nodiscard]] static Result<EnvironmentLock> acquire(const std::string& directory);
  EnvironmentLock(EnvironmentLock&& other) noexcept;
  EnvironmentLock& operator=(EnvironmentLock&& other) noexcept;
  ~EnvironmentLock();

 private:
  explicit EnvironmentLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace sluice::state
