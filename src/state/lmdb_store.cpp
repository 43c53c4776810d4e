#include "lmdb_store.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "rows.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::state {
namespace {

/// Pages split in the middle where slots share a leaf: half of what a full one holds.
constexpr std::uint64_t kOutboxRowsPerPage = 4096 / sizeof(OutboxRecord) / 2;
static_assert(kOutboxRowsPerPage > 0);

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
  slot_cached_ = false;
  slot_dirty_ = false;
  for (Place& place : places_) {
    place.cursor = nullptr;
    place.key_bytes = 0;
  }
}

bool LmdbTables::is_cached(Table table, ByteSpan key) const {
  return slot_cached_ && table == Table::slots && std::ranges::equal(key, slot_key_);
}

bool LmdbTables::Place::stands_on(ByteSpan other) const {
  return key_bytes != 0 && other.size() == key_bytes &&
         std::memcmp(other.data(), key.data(), key_bytes) == 0;
}

LmdbTables::Place* LmdbTables::place_of(Table table, ByteSpan key) {
  switch (table) {
    case Table::accounts: {
      // A verb reads a wallet and two rows of counters and then writes all three: byte 8 of the key
      // tells which.
      const std::size_t rank = static_cast<std::size_t>(key[sizeof(WalletId)]);
      return rank < 3 ? &places_[rank] : nullptr;
    }
    case Table::holds:
      return &places_[3];
    default:
      return nullptr;
  }
}

Result<ByteSpan> LmdbTables::get_through(Place& place, Table table, ByteSpan key) {
  place.key_bytes = 0;
  if (place.cursor == nullptr) {
    if (const int rc = mdb_cursor_open(txn_, handle(table), &place.cursor); rc != 0) {
      place.cursor = nullptr;
      return std::unexpected(lmdb_error(rc));
    }
  }
  MDB_val name = to_val(key);
  MDB_val value;
  const int rc = mdb_cursor_get(place.cursor, &name, &value, MDB_SET_KEY);
  if (rc == MDB_NOTFOUND) return ByteSpan{};
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  if (key.size() <= place.key.size()) {
    std::memcpy(place.key.data(), key.data(), key.size());
    place.key_bytes = key.size();
  }
  return to_span(value);
}

Result<ByteSpan> LmdbTables::get(Table table, ByteSpan key) {
  if (is_cached(table, key)) return ByteSpan(slot_row_);
  if (Place* place = place_of(table, key)) return get_through(*place, table, key);
  MDB_val name = to_val(key);
  MDB_val value;
  const int rc = mdb_get(txn_, handle(table), &name, &value);
  if (rc == MDB_NOTFOUND) return ByteSpan{};
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  return to_span(value);
}

Result<> LmdbTables::put_now(Table table, ByteSpan key, ByteSpan value) {
  MDB_val name = to_val(key);
  MDB_val data = to_val(value);
  Place* place = place_of(table, key);
  const bool here = place != nullptr && place->stands_on(key);
  // LMDB keeps other cursors of the transaction in step when a page is copied or split.
  const int rc = here ? mdb_cursor_put(place->cursor, &name, &data, MDB_CURRENT)
                      : mdb_put(txn_, handle(table), &name, &data, 0);
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  return {};
}

Result<> LmdbTables::put(Table table, ByteSpan key, ByteSpan value) {
  if (table != Table::slots || value.size() != slot_row_.size()) return put_now(table, key, value);
  if (slot_cached_ && slot_dirty_ && !is_cached(table, key)) {
    if (const Result<> flushed = flush(); !flushed) return flushed;
  }
  std::memcpy(slot_key_.data(), key.data(), slot_key_.size());
  std::memcpy(slot_row_.data(), value.data(), slot_row_.size());
  slot_cached_ = true;
  slot_dirty_ = true;
  return {};
}

Result<> LmdbTables::flush() {
  if (!slot_dirty_) return {};
  slot_dirty_ = false;
  return put_now(Table::slots, slot_key_, slot_row_);
}

Result<bool> LmdbTables::erase(Table table, ByteSpan key) {
  MDB_val name = to_val(key);
  Place* place = place_of(table, key);
  const bool here = place != nullptr && place->stands_on(key);
  if (place != nullptr) place->key_bytes = 0;  // the cursor stands on what was after it
  const int rc =
      here ? mdb_cursor_del(place->cursor, 0) : mdb_del(txn_, handle(table), &name, nullptr);
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

Result<Tables*> LmdbStore::begin() {
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
    const Result<Environment::MapUse> use = env_.map_use(txn_);
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
