// The only place that knows LMDB: environment, tables, transactions.
#pragma once

#include <lmdb.h>

#include <array>
#include <cstdint>
#include <string>

#include "sluice/base/error.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/tables.hpp"

namespace sluice::state {

/// Flags of every program that opens the environment; kept in meta and compared (facts/state.md:
/// WRITEMAP halves the cost of a verb; mixing flags is not supported by LMDB). NOSYNC: the file
/// lives on a tmpfs, its durability is the ledger's. NOTLS: read transactions belong to objects,
/// not to threads.
inline constexpr unsigned kLmdbFlags = MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS;

/// An Errc for LMDB's return code: MDB_MAP_FULL, MDB_TXN_FULL and ENOSPC are full; damaged pages
/// are corrupt.
[[nodiscard]] Error lmdb_error(int rc);

inline MDB_val to_val(ByteSpan bytes) {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};
}
inline ByteSpan to_span(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

using TableHandles = std::array<MDB_dbi, kTables>;

/// Owns MDB_env and one read transaction that is renewed for each read.
class LmdbEnv {
 public:
  LmdbEnv() = default;
  ~LmdbEnv();
  LmdbEnv(const LmdbEnv&) = delete;
  LmdbEnv& operator=(const LmdbEnv&) = delete;

  /// Opens <path>/data.mdb with kLmdbFlags. `create`: makes it, with this map size, fully
  /// allocated.
  Result<> open(const std::string& path, bool create, std::uint64_t map_bytes,
                std::string& message);

  [[nodiscard]] MDB_env* env() const { return env_; }
  [[nodiscard]] const TableHandles& tables() const { return tables_; }

  /// One read transaction around one or more gets; reset by the destructor.
  class Read {
   public:
    explicit Read(LmdbEnv& env);
    ~Read();
    Read(const Read&) = delete;
    Read& operator=(const Read&) = delete;
    [[nodiscard]] int status() const { return rc_; }
    [[nodiscard]] MDB_txn* txn() const { return env_.read_txn_; }
    /// An empty span when there is none.
    [[nodiscard]] Result<ByteSpan> get(Table table, ByteSpan key);

   private:
    LmdbEnv& env_;
    int rc_;
  };

  /// See Environment::MapUse. `txn`: an open read transaction.
  [[nodiscard]] Result<Environment::MapUse> map_use(MDB_txn* txn);

 private:
  Result<> open_tables(bool create, std::string& message);
  Result<> allocate(std::uint64_t map_bytes, std::string& message);
  MDB_env* env_ = nullptr;
  MDB_txn* read_txn_ = nullptr;
  TableHandles tables_{};
};

[[nodiscard]] std::string lmdb_data_file(const std::string& path);

}  // namespace sluice::state
