// The one reconciler of a node: keeps ledger and shared state in step (state-machine.md rows 5, 6, 8 to 10, 14 to 18).
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"

namespace sluice::reconcile {

struct Options {
  std::uint32_t node = 1;
  std::string state_directory;
  std::uint64_t map_bytes = 512 * kMiB;
  std::uint32_t shards = 1;
  std::string database;
  std::string records_directory;        ///< empty = no access records
  TimeNs drain_interval_ns = 20 * kMillisecond;
  Nanos max_undrained_nanos = 10 * kNanosPerUsd;
  TimeNs max_undrained_age_ns = 5 * kSecond;
  std::uint32_t usage_days = 90;
  std::vector<std::string> allow_private;  ///< CIDRs
  std::string boot_id_file;             ///< empty = the machine's; tests name another
};

class Reconciler {
 public:
  /// Takes the node's lock, opens the ledger and gets an environment ready (warm, attached or rebuilt). `message`
  /// gets one line when it fails: conflict (another reconciler runs), bad_value, io, unavailable.
  [[nodiscard]] static Result<std::unique_ptr<Reconciler>> start(const Options& options, const Clock& clock,
                                                                 std::string& message);
  ~Reconciler();
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;

  /// One turn: publish, drain, housekeeping, and the gate for shards once the first catalog is there. Never blocks
  /// but on the ledger's disk. Errors are logged and retried at the next turn; the last one is returned.
  Result<> turn();
  /// Waits for a question on the socket, a changed address, stop() or at most the drain interval.
  void wait();
  /// Turns until stop() is called, then drains once more and, when no shard holds a slot, marks the epoch clean.
  void run();
  /// May be called from a signal handler.
  void stop();

  /// "warm", "attached" or "rebuilt: <why>".
  [[nodiscard]] std::string started() const;

 private:
  struct Impl;
  explicit Reconciler(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::reconcile
