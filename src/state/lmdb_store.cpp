#include "lmdb_store.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "idem.hpp"
#include "lmdb_reserve.h"
#include "rows.hpp"
#include "sluice/base/assert.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/prefetch.hpp"

namespace sluice::state {
namespace {

/// Pages split in the middle where slots share a leaf: half of what a full one holds.
constexpr std::uint64_t kOutboxRowsPerPage = 4096 / sizeof(OutboxRecord) / 2;
static_assert(kOutboxRowsPerPage > 0);

constexpr std::size_t kNodeBytes = 8;  ///< LMDB's header of a row in its page

}  // namespace

ByteSpan meta_key() {
  static constexpr std::string_view kName = "env";
  return std::as_bytes(std::span(kName.data(), kName.size()));
}

ByteSpan catalog_key() {
  static constexpr std::string_view kName = "current";
  return std::as_bytes(std::span(kName.data(), kName.size()));
}

void LmdbTables::begin(MDB_txn* txn) {
  txn_ = txn;
  open_.clear();
  for (Place& place : places_) {
    place.cursor = nullptr;
    place.key_bytes = 0;
    // Their keys are numbered, and of one slot: most often those of the last.
    place.grows = &place != &places_[0];
  }
}

bool LmdbTables::Place::stands_on(ByteSpan other) const {
  return key_bytes != 0 && other.size() == key_bytes &&
         std::memcmp(other.data(), key.data(), key_bytes) == 0;
}

void LmdbTables::Place::stand_on(ByteSpan on) {
  key_bytes = on.size() <= key.size() ? on.size() : 0;
  std::memcpy(key.data(), on.data(), key_bytes);
}

Result<LmdbTables::Place*> LmdbTables::place_of(Table table) {
  Place* place = nullptr;
  switch (table) {
    case Table::accounts:
      place = &places_[0];
      break;
    case Table::holds:
      place = &places_[1];
      break;
    case Table::outbox:
      place = &places_[2];
      break;
    default:
      return nullptr;
  }
  if (place->cursor != nullptr) return place;
  if (const int rc = mdb_cursor_open(txn_, handle(table), &place->cursor); rc != 0) {
    place->cursor = nullptr;
    return std::unexpected(lmdb_error(rc));
  }
  return place;
}

Result<ByteSpan> LmdbTables::get(Table table, ByteSpan key) {
  const Result<Place*> at = place_of(table);
  if (!at) return std::unexpected(at.error());
  Place* const place = *at;
  MDB_val name = to_val(key);
  MDB_val value;
  if (place != nullptr) place->key_bytes = 0;
  const int rc = place != nullptr ? mdb_cursor_get(place->cursor, &name, &value, MDB_SET_KEY)
                                  : mdb_get(txn_, handle(table), &name, &value);
  if (rc == MDB_NOTFOUND) return ByteSpan{};
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  if (place != nullptr) place->stand_on(key);
  return to_span(value);
}

// A page that this transaction has copied stays where it is. Its rows do, too, while none is added
// to the table and none goes.
Result<std::byte*> LmdbTables::in_place(Table table, ByteSpan key, std::size_t bytes) {
  if (table != Table::accounts) return nullptr;
  const Place& place = places_[0];
  SLUICE_ASSERT(place.stands_on(key));
  MDB_val name = to_val(key);
  MDB_val row{bytes, nullptr};
  const int rc = mdb_cursor_put(place.cursor, &name, &row, MDB_RESERVE | MDB_CURRENT);
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  return static_cast<std::byte*>(row.mv_data);
}

Result<> LmdbTables::put(Table table, ByteSpan key, ByteSpan value) {
  const Result<Place*> at = place_of(table);
  if (!at) return std::unexpected(at.error());
  Place* const place = *at;
  MDB_val name = to_val(key);
  int rc = 0;
  if (table == Table::accounts) open_.rows_moved();
  if (place == nullptr) {
    MDB_val data = to_val(value);
    rc = mdb_put(txn_, handle(table), &name, &data, 0);
  } else {
    rc = put_at(*place, name, value, place->stands_on(key));
    place->stand_on(key);  // a cursor that put a row stands on it
  }
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  return {};
}

// LMDB fills a page from its end: the next row comes to lie before this one.
int LmdbTables::put_at(Place& place, MDB_val& key, ByteSpan value, bool stands) {
  MDB_val data{value.size(), nullptr};
  int rc = MDB_KEYEXIST;
  const bool appends = place.grows && !stands;
  if (appends) {
    rc = mdb_cursor_put(place.cursor, &key, &data, MDB_RESERVE | MDB_APPEND);
    place.grows = rc != MDB_KEYEXIST;  // a later slot has rows, too
  }
  if (rc == MDB_KEYEXIST) {
    rc = mdb_cursor_put(place.cursor, &key, &data, MDB_RESERVE | (stands ? MDB_CURRENT : 0));
  }
  if (rc != 0) return rc;
  std::memcpy(data.mv_data, value.data(), value.size());
  if (appends) {
    const std::size_t next = value.size() + key.mv_size + kNodeBytes;
    prefetch<Access::write>(static_cast<std::byte*>(data.mv_data) - next, next);
  }
  return 0;
}

Result<bool> LmdbTables::erase(Table table, ByteSpan key) {
  const Result<Place*> at = place_of(table);
  if (!at) return std::unexpected(at.error());
  Place* const place = *at;
  MDB_val name = to_val(key);
  int rc = 0;
  if (table == Table::accounts) open_.rows_moved();
  if (place == nullptr) {
    rc = mdb_del(txn_, handle(table), &name, nullptr);
  } else {
    if (!place->stands_on(key)) rc = mdb_cursor_get(place->cursor, &name, nullptr, MDB_SET);
    if (rc == 0) rc = mdb_cursor_del(place->cursor, 0);
    place->key_bytes = 0;  // the cursor stands on what was after it
  }
  if (rc == MDB_NOTFOUND) return false;
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  return true;
}

Result<Row> LmdbTables::seek(Table table, ByteSpan key) {
  MDB_cursor* cursor = nullptr;
  int rc = mdb_cursor_open(txn_, handle(table), &cursor);
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  MDB_val name = to_val(key);
  MDB_val value;
  rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
  mdb_cursor_close(cursor);
  if (rc == MDB_NOTFOUND) return Row{};
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  return Row{to_span(name), to_span(value)};
}

bool LmdbTables::idem_room() {
  MDB_envinfo info;
  MDB_stat stat;
  return mdb_env_info(mdb_txn_env(txn_), &info) == 0 &&
         mdb_stat(txn_, handle(Table::idem), &stat) == 0 &&
         stat.ms_entries < info.me_mapsize / kMapBytesPerIdemRow;
}

Result<Tables*> LmdbStore::begin() {
  const MayTakeOver reserve;
  if (const int rc = mdb_txn_begin(env_.env(), nullptr, 0, &txn_); rc != 0) {
    txn_ = nullptr;
    return std::unexpected(lmdb_error(rc));
  }
  tables_.begin(txn_);
  const Result<Loaded<MetaRecord>> meta = load<MetaRecord>(tables_, Table::meta, meta_key());
  if (!meta) {
    abort();
    return std::unexpected(meta.error());
  }
  // A rebuild retires the old environment by taking `ready` away; who is still attached stops here.
  if (!meta->found || meta->record.ready != 1 || meta->record.epoch != meta_.epoch ||
      meta->record.uuid != meta_.uuid) {
    abort();
    return fail(Errc::stale_epoch);
  }
  return &tables_;
}

Result<> LmdbStore::commit() {
  if (const Result<> flushed = tables_.flush(); !flushed) {
    abort();
    return flushed;
  }
  const int rc = mdb_txn_commit(std::exchange(txn_, nullptr));
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  return {};
}

void LmdbStore::abort() {
  if (txn_ != nullptr) mdb_txn_abort(std::exchange(txn_, nullptr));
}

bool LmdbStore::crowded() {
  MDB_envinfo info;
  MDB_stat stat;
  MDB_stat holds;
  const MDB_dbi holds_table = env_.tables()[static_cast<std::size_t>(Table::holds)];
  if (mdb_env_info(env_.env(), &info) != 0 || mdb_env_stat(env_.env(), &stat) != 0 ||
      mdb_stat(txn_, holds_table, &holds) != 0) {
    return true;
  }
  const std::uint64_t map_pages = info.me_mapsize / stat.ms_psize;
  // Every open hold will want an outbox row, even if nobody drains meanwhile.
  const std::uint64_t promised = holds.ms_entries / kOutboxRowsPerPage;
  // The file's high-water mark never falls: only above it is the free list worth a look, ten times
  // a second.
  if (info.me_last_pgno + promised < map_pages / 10 * 7) return false;
  const TimeNs now = system_clock().monotonic_ns();
  if (crowded_checked_ns_ == 0 || now - crowded_checked_ns_ >= 100 * kMillisecond) {
    crowded_checked_ns_ = now;
    // LMDB shows its free list to readers only (mdb_cursor_open: EINVAL in a write transaction).
    LmdbEnv::Read read(env_);
    const Result<Environment::MapUse> use =
        read.status() == 0
            ? env_.map_use(read.txn())
            : Result<Environment::MapUse>(std::unexpected(lmdb_error(read.status())));
    free_pages_ = use ? use->free_pages() : 0;
  }
  return free_pages_ < map_pages / 10 * 3 + promised;
}

Result<std::optional<HoldRecord>> LmdbStore::find_hold(const HoldId& id) {
  LmdbEnv::Read read(env_);
  const Result<ByteSpan> bytes = read.get(Table::holds, span_of(hold_key(id)));
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->empty()) return std::nullopt;
  const Result<HoldRecord> record = decode<HoldRecord>(*bytes);
  if (!record) return std::unexpected(record.error());
  return *record;
}

Result<SlotRecord> LmdbStore::find_slot(SlotId slot) {
  LmdbEnv::Read read(env_);
  const Result<ByteSpan> bytes = read.get(Table::slots, span_of(number_key(slot)));
  if (!bytes) return std::unexpected(bytes.error());
  if (!bytes->empty()) return decode<SlotRecord>(*bytes);
  SlotRecord fresh;
  fresh.slot = slot;
  return fresh;
}

}  // namespace sluice::state
