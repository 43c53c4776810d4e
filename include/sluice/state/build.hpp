// Rows 14 to 16: is there an environment that can go on, and if not, how to build the next epoch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/base/random.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/slots.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {

/// A wallet as the ledger has it at the snapshot.
struct WalletSnapshot {
  WalletPublish policy;
  Nanos balance = 0;             ///< becomes base and available
  std::uint64_t applied_no = 0;  ///< number of the last delta that `balance` contains
  Window total, day, month;      ///< spent sums; reserved must be 0
  WindowIds windows;
};

struct KeySnapshot {
  KeyPublish key;
  Window total, day, month;  ///< of the key id; when several digests name it, the first counts
  WindowIds windows;
};

inline constexpr const char* kBootIdFile = "/proc/sys/kernel/random/boot_id";

struct BuildOptions {
  std::string directory;  ///< configuration: state.directory
  std::uint64_t map_bytes = 512 * kMiB;
  std::uint32_t node = 1;
  std::uint64_t epoch = 0;  ///< handed out by the ledger; larger than any before
  std::uint32_t slots = 5;  ///< 4 × shards + 1
  std::uint32_t meter_entries = 16384;
  std::uint64_t published_generation = 0;
  TimeNs realtime_ns = 0;
  std::string boot_id_file = kBootIdFile;  ///< tests name another
  /// Reading the environment of before ends the process (probe()): it is left alone. Nobody is
  /// attached to it.
  bool previous_is_damaged = false;
  /// The caller holds every slot already. Null: they are taken for as long as the call lasts.
  const AllSlots* slots_held = nullptr;
};

/// Row 16: builds the epoch in a new directory (fallocate of the whole map, sorted inserts, boards,
/// meta.ready last), then points `current` at it in one rename. The caller holds `lock`; no shard
/// holds a slot, nor can one take any until the end (conflict); the environment was closed before
/// (LMDB may have it open only once in a process): the old epoch is retired, so that a process that
/// is still attached to it gets stale_epoch. Wallets and keys in any order. Errors with a line in
/// `message`: full (tmpfs or map too small), io (directory not writable), conflict.
[[nodiscard]] Result<> build_epoch(const BuildOptions& options, const EnvironmentLock& lock,
                                   const std::vector<WalletSnapshot>& wallets,
                                   const std::vector<KeySnapshot>& keys, Rng& rng,
                                   std::string& message);

/// Number of the current environment, by the name of its directory; 0 when there is none.
[[nodiscard]] std::uint64_t current_epoch(const std::string& directory);

/// Reads all of the current environment in a child process: LMDB trusts its pages, and one that is
/// damaged can end whoever follows it, at every start again. To be called by the one reconciler,
/// with every slot held, before anything is open in this process; costs a fork and a walk through
/// all rows. No environment is no error. Errors: corrupt (the child died, found damage or no end),
/// io (not now).
[[nodiscard]] Result<> probe(const std::string& directory);

/// What row 15 needs to know before the ledger is asked.
struct WarmCheck {
  bool exists = false;  ///< there is a current epoch with meta.ready
  bool same_boot = false;
  bool same_schema = false;  ///< schema and flags
  bool slot_locked = false;  ///< a live generation: attach only, no audit, no rebuild (row 14)
  MetaRecord meta;
  std::string detail;  ///< one line why not
  /// It could not be looked at (no memory, no descriptors): it may be as good as ever.
  Error error;
};
/// Opens and closes the environment: not while this process has it open.
[[nodiscard]] WarmCheck check_warm(const std::string& directory,
                                   const std::string& boot_id_file = kBootIdFile);

/// Removes directories of epochs other than the current one, but keeps `keep` (salvage). Errors:
/// io.
Result<> remove_old_epochs(const std::string& directory, const EnvironmentLock& lock,
                           std::uint64_t keep = 0);

}  // namespace sluice::state
