// What the reconciler writes: publishing, drained rows, expiry. Every call goes through the gate,
// in transactions of at most kMaxRowsPerTxn rows, with epoch and uuid checked in each.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/base/error.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {

/// Same thread as its environment, which outlives it. Errors of all: full, io, corrupt,
/// stale_epoch, unavailable (the gate was not to be had for 5 s).
class Writer {
 public:
  explicit Writer(Environment& environment) : environment_(environment) {}

  /// Rows are applied in order; returns how many were committed before an error ended it (`error`
  /// then set).
  struct Published {
    std::size_t committed = 0;
    Error error;
  };
  Published publish_wallets(std::span<const WalletPublish> wallets);
  Published publish_keys(std::span<const KeyPublish> keys);
  /// Row 10. Each delta is idempotent by its number; an error with code conflict names a gap at
  /// `committed`.
  Published publish_deltas(std::span<const DeltaVerb> deltas);

  /// Row 9: deletes rows ≤ `up_to_seq` of the slot. Returns how many. Between two transactions the
  /// shards have their turn: many rows take a while.
  [[nodiscard]] Result<std::uint64_t> delete_drained(SlotId slot, std::uint64_t up_to_seq);
  /// Row 6.
  [[nodiscard]] Result<Outcome> expire(const HoldId& hold, TimeNs now_monotonic_ns);

  /// Removes Idempotency-Keys that scan_idem() found, where they may still be forgotten; at most
  /// kMaxRowsPerTxn. Returns how many.
  [[nodiscard]] Result<std::size_t> forget_idem(std::span<const IdemKey> keys, TimeNs now_ns,
                                                TimeNs age_ns);

  /// Points at new catalog or address files (already complete in the epoch's directory) and raises
  /// the generations in meta. A generation that is not larger than the present one is a conflict.
  [[nodiscard]] Result<> set_catalog(std::uint64_t generation, std::string_view file,
                                     std::uint64_t hash);
  [[nodiscard]] Result<> set_addresses(std::uint64_t generation, std::string_view file,
                                       std::uint64_t hash);
  /// Tells waiting commands that everything up to this publish sequence is visible. Never lowers
  /// it.
  [[nodiscard]] Result<> set_published(std::uint64_t generation);

 private:
  Environment& environment_;
};

}  // namespace sluice::state
