// Damage to a stopped node: its shared state by LMDB itself, its ledger by SQLite itself, past all
// code that keeps them right.
#pragma once

#include <gtest/gtest.h>
#include <lmdb.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "sluice/state/records.hpp"
#include "sluice/state/tables.hpp"

namespace sluice::reconcile {

/// One write transaction of the environment, committed at the end.
class RawState {
 public:
  explicit RawState(const std::string& directory) {
    ok(mdb_env_create(&env_));
    ok(mdb_env_set_maxdbs(env_, 16));
    ok(mdb_env_open(env_, (directory + "/current").c_str(), MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS,
                    0660));
    ok(mdb_txn_begin(env_, nullptr, 0, &txn_));
  }
  ~RawState() {
    ok(mdb_txn_commit(txn_));
    mdb_env_close(env_);
  }
  RawState(const RawState&) = delete;
  RawState& operator=(const RawState&) = delete;

  template <class Record>
  Record get(state::Table table, state::ByteSpan key) {
    MDB_val name = value_of(key), value;
    ok(mdb_get(txn_, open(table), &name, &value));
    Record record;
    EXPECT_LE(value.mv_size, sizeof record);
    std::memcpy(static_cast<void*>(&record), value.mv_data, std::min(value.mv_size, sizeof record));
    EXPECT_EQ(value.mv_size, record.header.bytes);
    return record;
  }
  /// With its check value, as if it had always been so.
  template <class Record>
  void put(state::Table table, state::ByteSpan key, Record record) {
    put_bytes(table, key, state::encode(record));
  }
  /// One bit of what is stored, at `offset`, turned over.
  template <class Record>
  void tear(state::Table table, state::ByteSpan key, std::size_t offset) {
    Record record = get<Record>(table, key);
    std::vector<std::byte> bytes(record.header.bytes);
    std::memcpy(bytes.data(), static_cast<const void*>(&record), bytes.size());
    bytes[offset] ^= std::byte{1};
    put_bytes(table, key, bytes);
  }
  void erase(state::Table table, state::ByteSpan key) {
    MDB_val name = value_of(key);
    ok(mdb_del(txn_, open(table), &name, nullptr));
  }

 private:
  static void ok(int rc) { ASSERT_EQ(rc, 0) << mdb_strerror(rc); }
  static MDB_val value_of(state::ByteSpan bytes) {
    return {bytes.size(), const_cast<void*>(static_cast<const void*>(bytes.data()))};
  }
  MDB_dbi open(state::Table table) {
    MDB_dbi dbi = 0;
    ok(mdb_dbi_open(txn_, state::table_name(table), 0, &dbi));
    return dbi;
  }
  void put_bytes(state::Table table, state::ByteSpan key, state::ByteSpan bytes) {
    MDB_val name = value_of(key), value = value_of(bytes);
    ok(mdb_put(txn_, open(table), &name, &value, 0));
  }
  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
};

template <class Key>
state::ByteSpan bytes_of(const Key& key) {
  return std::as_bytes(std::span(key));
}

inline void run_sql(const std::string& database, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(database.c_str(), &db), SQLITE_OK);
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
  sqlite3_free(error);
  sqlite3_close(db);
}

}  // namespace sluice::reconcile
