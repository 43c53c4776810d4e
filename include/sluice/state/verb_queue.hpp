// Group commit of one shard: the verbs of a turn of its loop go into one LMDB write transaction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/slots.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {

inline constexpr std::uint32_t kNoBoardEntry = 0xFFFF'FFFF;

/// A verb on its way. Owned by the caller (a coroutine's frame), which keeps it alive until `done`
/// was called.
struct PendingVerb {
  std::variant<ReserveVerb, RequestVerb, ExtendVerb, SettleVerb, VoidVerb> verb;
  /// Reserve: entry of the meter board that is opened before the commit. Settle and void: closed
  /// after it.
  std::uint32_t board_index = kNoBoardEntry;
  void (*done)(PendingVerb& self) noexcept =
      nullptr;  ///< called once, after the commit, from commit_turn()
  void* context = nullptr;

  // Result. `error.code` is none when `outcome` is meant. stale_epoch: the environment was rebuilt;
  // unavailable: the outcome of a reserve or extend is not known or could not be had (503);
  // corrupt, not_found, bad_value, conflict: as apply().
  Error error;
  Outcome outcome;

 private:
  friend class VerbQueue;
  PendingVerb* next_ = nullptr;
  TimeNs queued_at_ns_ = 0;
};

/// What a queue works on. Production takes it from an environment; tests and the simulator give
/// their own.
struct QueueParts {
  Store* store = nullptr;
  Gate* gate = nullptr;
  MeterBoard board;             ///< may be empty
  ShardBlock* block = nullptr;  ///< metrics
  const AdmissionBlock* admission = nullptr;
  SlotId slot = 0;
  std::uint64_t epoch = 0;
};

/// One a shard, same thread as its environment. Nothing in it allocates after construction.
class VerbQueue {
 public:
  /// `environment`, `slot` outlive it; the slot's lock is held.
  VerbQueue(Environment& environment, const SlotLock& slot);
  explicit VerbQueue(const QueueParts& parts);
  ~VerbQueue();
  VerbQueue(const VerbQueue&) = delete;
  VerbQueue& operator=(const VerbQueue&) = delete;

  /// Queues; `verb.done` comes from a later commit_turn(). No allocation. A reserve is not sent to
  /// LMDB while admission is stopped (it is refused with Limit::undrained or map_full in the next
  /// turn); a request, which asks for no money and no room, is.
  void submit(PendingVerb& verb, TimeNs now_monotonic_ns);
  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::size_t size() const;

  enum class Turn : std::uint8_t {
    idle,       ///< nothing was queued
    committed,  ///< at least one verb was completed; more may wait (empty())
    busy,       ///< somebody holds the gate (or the store failed): call again soon. After 1 ms of
                ///< waiting the queue blocks for the gate, at most 50 ms
  };
  /// Up to kMaxVerbsPerTxn verbs in one transaction (settle and void, then extend, then reserve),
  /// then their completions. Completions may submit.
  Turn commit_turn(TimeNs now_monotonic_ns);

  /// Runs turns until the queue is empty (end of a process, tests). False if that took longer than
  /// `limit_ns`.
  bool drain(TimeNs limit_ns);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::state
