// The gate: a robust mutex of our own, in shared memory, in front of mdb_txn_begin (LMDB has no
// try-begin).
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"

namespace sluice::state {

class alignas(64) Gate {
 public:
  /// Makes the mutex. Once, by the creator of the boards.
  Result<> initialize();

  enum class Entry : std::uint8_t { entered, entered_after_death, busy };
  /// Does not wait.
  [[nodiscard]] Entry try_enter(std::uint32_t who);
  /// Waits at most `wait_ns`. A dead owner's lock is recovered.
  [[nodiscard]] Entry enter(std::uint32_t who, TimeNs wait_ns);
  void leave();

  /// Slot of the holder, kReconciler, or kNobody: for metrics and messages only.
  [[nodiscard]] std::uint32_t holder() const { return holder_.load(std::memory_order_relaxed); }

  static constexpr std::uint32_t kReconciler = 0xFFFF'FFFE;
  static constexpr std::uint32_t kNobody = 0xFFFF'FFFF;

 private:
  Entry entered(int rc, std::uint32_t who);
  pthread_mutex_t mutex_;
  std::atomic<std::uint32_t> holder_{kNobody};
};

}  // namespace sluice::state
