// Epochs of a node's shared state (rows 14 to 16 of state-machine.md).
#pragma once

#include <string>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/usage.hpp"

namespace sluice::ledger {

class Db;

struct Epoch {
  std::uint32_t node = 0;
  std::uint64_t epoch = 0;  ///< counts up from 1 for each node
  std::string uuid;         ///< of the environment, 32 hex digits; empty until it is built
  TimeNs opened_ns = 0;
  TimeNs closed_ns = 0;    ///< 0 = the newest
  bool clean = false;      ///< nothing of it was undrained when it was left
  std::int64_t batch = 0;  ///< last drain batch when it was opened: base balances are as of then
};

/// What a new environment starts from: wallets with balance and last_no, keys and their former
/// secrets, sums of windows.
struct EpochSnapshot {
  Epoch epoch;
  std::vector<Wallet> wallets;
  std::vector<ApiKey> keys;
  std::vector<FormerSecret> former;
  std::vector<WindowSum> windows;
  std::int64_t generation = 0;  ///< newest change that the snapshot contains
};

/// A wallet's balance at the moment an epoch was opened: what the auditor compares `base` with.
struct EpochBase {
  Id wallet_id = 0;
  Nanos base = 0;
  std::int64_t wallet_no = 0;
};

class EpochBook {
 public:
  EpochBook(Db& db, const Clock& clock) : db_(db), clock_(clock) {}

  /// Row 16 in one transaction: closes the newest epoch of the node with `gaps`, hands out the next
  /// number and snapshots balances and numbers; deltas up to those numbers leave the queue, their
  /// money is in the snapshot.
  [[nodiscard]] Result<EpochSnapshot> open_next(std::uint32_t node, const std::vector<Gap>& gaps);
  /// Notes the uuid of the environment that was built for an epoch.
  [[nodiscard]] Result<> set_uuid(std::uint32_t node, std::uint64_t epoch, const std::string& uuid);
  /// Marks an epoch as left in order (nothing undrained, nobody attached), or as in use again.
  [[nodiscard]] Result<> set_clean(std::uint32_t node, std::uint64_t epoch, bool clean);
  /// The newest epoch of a node, or Errc::not_found.
  [[nodiscard]] Result<Epoch> newest(std::uint32_t node);
  [[nodiscard]] Result<std::vector<EpochBase>> bases(std::uint32_t node, std::uint64_t epoch);

 private:
  Db& db_;
  const Clock& clock_;
};

}  // namespace sluice::ledger
