// One epoch's shared state, opened. LMDB itself is seen by src/state alone.
//
// Files: <directory>/env.lock (the one reconciler), <directory>/edge.lock (the one edge, with its
// process id), <directory>/slots.lock (one byte a slot), <directory>/current → epoch.<n>/ with
// data.mdb, lock.mdb, boards, catalog.<g>, addresses.<g>.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sluice/base/crypto.hpp"
#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/state/boards.hpp"
#include "sluice/state/records.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {

/// Held by the edge's supervisor as long as it runs; the file has its process id as text.
inline constexpr const char* kEdgeLockFile = "edge.lock";

struct OpenOptions {
  std::string directory;  ///< configuration: state.directory
  /// wait this long for a complete environment (edge at start); polls every 10 ms
  TimeNs wait_ready_ns = 0;
};

class Environment;
struct EnvironmentAccess;  // src/state only

/// Attaches to the current epoch. The one place that decides LMDB's flags.
/// Errors, each with a line for the operator in `message`: not_found (no environment), unavailable
/// (not ready in time), unsupported (other schema or flags), corrupt, io (permissions, map).
[[nodiscard]] Result<std::unique_ptr<Environment>> open(const OpenOptions& options,
                                                        std::string& message);

/// Not thread-safe: one thread a process uses it (LMDB may be open only once in a process). Owned
/// by the program; the queue, slot locks and writers refer to it.
class Environment {
 public:
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  /// meta as it was when opened; epoch and uuid never change afterwards.
  [[nodiscard]] const MetaRecord& meta() const;
  [[nodiscard]] std::uint64_t epoch() const { return meta().epoch; }
  [[nodiscard]] Boards& boards();
  /// <directory>/epoch.<n>: where catalog files are.
  [[nodiscard]] const std::string& epoch_directory() const;

  // Reads of a shard: one renewed read transaction each, values copied out, nothing held
  // afterwards. Errors: corrupt, io. No allocation.
  /// The key of this digest, compared in full; nothing when there is none.
  [[nodiscard]] Result<std::optional<KeyRecord>> find_key(const Digest256& digest);
  [[nodiscard]] Result<std::optional<WalletRecord>> find_wallet(WalletId id);
  /// `id`: the key's, or the wallet's again.
  [[nodiscard]] Result<std::optional<CounterRecord>> find_counters(CounterKind kind,
                                                                   WalletId wallet,
                                                                   std::uint64_t id);
  [[nodiscard]] Result<std::optional<HoldRecord>> find_hold(const HoldId& id);
  [[nodiscard]] Result<SlotRecord> find_slot(SlotId slot);
  [[nodiscard]] Result<MetaRecord> read_meta();
  [[nodiscard]] Result<CatalogPointer> catalog_pointer();

  /// Number of the last committed transaction: a cheap poll for "has anything changed". No
  /// transaction.
  [[nodiscard]] std::uint64_t last_txn() const;

  struct MapUse {
    std::uint64_t map_pages = 0;
    std::uint64_t high_pages = 0;      ///< ever used
    std::uint64_t reusable_pages = 0;  ///< of those, free and not pinned by a reader
    /// transactions since the oldest open read transaction began
    std::uint64_t oldest_reader_lag = 0;
    std::uint32_t readers = 0;  ///< open read transactions
    [[nodiscard]] std::uint64_t free_pages() const {
      return map_pages - high_pages + reusable_pages;
    }
  };
  [[nodiscard]] Result<MapUse> map_use();
  /// The store that verbs run on; for VerbQueue, Writer and the reaper.
  [[nodiscard]] Store& store();
  /// Frees reader slots of dead processes (after each death). Returns how many.
  Result<int> check_readers();

  struct Impl;

 private:
  friend struct EnvironmentAccess;
  explicit Environment(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::state
