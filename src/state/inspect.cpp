#include "sluice/state/inspect.hpp"

#include <cstring>

#include "environment_impl.hpp"
#include "idem.hpp"
#include "rows.hpp"

namespace sluice::state {
namespace {

/// A cursor that closes itself. Within a Read.
class Cursor {
 public:
  Cursor(LmdbEnv& env, MDB_txn* txn, Table table) {
    rc_ = mdb_cursor_open(txn, env.tables()[static_cast<std::size_t>(table)], &cursor_);
  }
  ~Cursor() {
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
  }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  /// Next row (first at the beginning). Empty at the end.
  Result<Row> next() { return step(started_ ? MDB_NEXT : MDB_FIRST, {}); }
  /// First row at or after `key`.
  Result<Row> from(ByteSpan key) { return step(MDB_SET_RANGE, key); }

 private:
  Result<Row> step(MDB_cursor_op op, ByteSpan key) {
    started_ = true;
    if (rc_ != 0) return std::unexpected(lmdb_error(rc_));
    MDB_val name = to_val(key);
    MDB_val value;
    const int rc = mdb_cursor_get(cursor_, &name, &value, op);
    if (rc == MDB_NOTFOUND) return Row{};
    if (rc != 0) return std::unexpected(lmdb_error(rc));
    return Row{to_span(name), to_span(value)};
  }
  MDB_cursor* cursor_ = nullptr;
  int rc_ = 0;
  bool started_ = false;
};

std::string hex(ByteSpan bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    for (const unsigned shift : {4U, 0U})
      text += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> shift & 15U];
  }
  return text;
}

/// Walks a table; `take(row)` is false when the row fails its check.
template <class Take>
Result<> walk(LmdbEnv& env, MDB_txn* txn, Table table, std::vector<CorruptRow>& corrupt,
              Take take) {
  Cursor cursor(env, txn, table);
  for (std::uint64_t ordinal = 0;; ++ordinal) {
    const Result<Row> row = cursor.next();
    if (!row) return std::unexpected(row.error());
    if (row->key.empty()) return {};
    if (!take(*row)) corrupt.push_back({table, ordinal, hex(row->key)});
  }
}

/// Appends the decoded value; the key must name the same thing as the record.
template <class Record, class SameKey>
bool take_record(std::vector<Record>& out, const Row& row, SameKey same_key) {
  const Result<Record> record = decode<Record>(row.value);
  if (!record || !same_key(*record)) return false;
  out.push_back(*record);
  return true;
}

bool same_bytes(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

bool take_hold(std::vector<HoldRow>& out, const Row& row) {
  const Result<HoldId> id = parse_hold_key(row.key);
  const Result<HoldRecord> record = decode<HoldRecord>(row.value);
  if (!id || !record) return false;
  out.push_back({*id, *record});
  return true;
}

bool take_outbox(std::vector<OutboxRow>& out, const Row& row) {
  const Result<OutboxId> id = parse_outbox_key(row.key);
  const Result<OutboxRecord> record = decode<OutboxRecord>(row.value);
  if (!id || !record || record->hold.slot != id->slot) return false;
  out.push_back({*id, *record});
  return true;
}

bool take_key(std::vector<KeyRow>& out, const Row& row) {
  const Result<KeyRecord> record = decode<KeyRecord>(row.value);
  KeyRow key;
  if (!record || row.key.size() != key.digest.size()) return false;
  std::memcpy(key.digest.data(), row.key.data(), key.digest.size());
  key.record = *record;
  out.push_back(key);
  return true;
}

/// A wallet or counters, as the record's kind says; what was not asked for is checked all the same.
bool take_account(StateCopy& out, std::uint32_t what, const Row& row) {
  const bool wallet = row.value.size() == sizeof(WalletRecord);
  static_assert(sizeof(WalletRecord) != sizeof(CounterRecord));
  const bool taken =
      wallet ? take_record(out.wallets, row,
                           [&](const WalletRecord& r) {
                             return same_bytes(row.key, span_of(wallet_key(r.wallet_id)));
                           })
             : take_record(out.counters, row, [&](const CounterRecord& r) {
                 const AccountKey key = counter_key(r.kind, r.wallet_id, r.id);
                 return same_bytes(row.key, span_of(key));
               });
  if (taken && wallet && (what & kCopyWallets) == 0) out.wallets.pop_back();
  if (taken && !wallet && (what & kCopyCounters) == 0) out.counters.pop_back();
  return taken;
}

Result<MetaRecord> read_meta(LmdbEnv::Read& read) {
  const Result<ByteSpan> bytes = read.get(Table::meta, meta_key());
  if (!bytes) return std::unexpected(bytes.error());
  return decode<MetaRecord>(*bytes);
}

Result<> copy_tables(LmdbEnv& env, MDB_txn* txn, std::uint32_t what, StateCopy& out) {
  Result<> done;
  const auto copy = [&](std::uint32_t bit, Table table, auto take) {
    if (done && (what & bit) != 0) done = walk(env, txn, table, out.corrupt, take);
  };
  copy(kCopyWallets | kCopyCounters, Table::accounts,
       [&](const Row& row) { return take_account(out, what, row); });
  copy(kCopySlots, Table::slots, [&](const Row& row) {
    return take_record(out.slots, row, [&](const SlotRecord& r) {
      return same_bytes(row.key, span_of(number_key(r.slot)));
    });
  });
  copy(kCopyHolds, Table::holds, [&](const Row& row) { return take_hold(out.holds, row); });
  copy(kCopyOutbox, Table::outbox, [&](const Row& row) { return take_outbox(out.outbox, row); });
  copy(kCopyKeys, Table::keys, [&](const Row& row) { return take_key(out.keys, row); });
  copy(kCopyIdem, Table::idem, [&](const Row& row) {
    return row.key.size() == sizeof(IdemKey) &&
           take_record(out.idem, row, [](const IdemRecord&) { return true; });
  });
  return done;
}

}  // namespace

Result<> copy_state(Environment& environment, std::uint32_t what, StateCopy& out) {
  LmdbEnv& env = EnvironmentAccess::lmdb(environment);
  LmdbEnv::Read read(env);
  if (read.status() != 0) return std::unexpected(lmdb_error(read.status()));
  out = {};
  const Result<MetaRecord> meta = read_meta(read);
  if (!meta) return std::unexpected(meta.error());
  if (meta->ready != 1 || meta->uuid != environment.meta().uuid) return fail(Errc::stale_epoch);
  out.meta = *meta;
  out.txn = mdb_txn_id(read.txn());
  return copy_tables(env, read.txn(), what, out);
}

Result<std::size_t> read_outbox(Environment& environment, SlotId slot, std::uint64_t after_seq,
                                std::size_t limit, std::vector<OutboxRow>& out) {
  LmdbEnv& env = EnvironmentAccess::lmdb(environment);
  LmdbEnv::Read read(env);
  if (read.status() != 0) return std::unexpected(lmdb_error(read.status()));
  Cursor cursor(env, read.txn(), Table::outbox);
  const std::size_t before = out.size();
  if (limit == 0 || after_seq == UINT64_MAX) return 0;
  Result<Row> row = cursor.from(span_of(outbox_key(slot, after_seq + 1)));
  while (out.size() - before < limit) {
    if (!row) return std::unexpected(row.error());
    if (row->key.empty()) break;
    const Result<OutboxId> id = parse_outbox_key(row->key);
    if (!id) return std::unexpected(id.error());
    if (id->slot != slot) break;
    if (!take_outbox(out, *row)) return fail(Errc::corrupt);
    row = cursor.next();
  }
  return out.size() - before;
}

Result<std::size_t> overdue_holds(Environment& environment, TimeNs now_monotonic_ns,
                                  std::size_t limit, std::vector<HoldId>& out) {
  LmdbEnv& env = EnvironmentAccess::lmdb(environment);
  LmdbEnv::Read read(env);
  if (read.status() != 0) return std::unexpected(lmdb_error(read.status()));
  Cursor cursor(env, read.txn(), Table::holds);
  std::size_t found = 0;
  while (found < limit) {
    const Result<Row> row = cursor.next();
    if (!row) return std::unexpected(row.error());
    if (row->key.empty()) break;
    const Result<HoldId> id = parse_hold_key(row->key);
    const Result<HoldRecord> record = decode<HoldRecord>(row->value);
    if (!id || !record) continue;  // the auditor's business
    if (record->state == HoldState::open && now_monotonic_ns > record->deadline_ns) {
      out.push_back(*id);
      ++found;
    }
  }
  return found;
}

Result<IdemScan> scan_idem(Environment& environment, const std::optional<IdemKey>& after,
                           TimeNs now_ns, TimeNs age_ns, std::size_t look_at_most,
                           std::size_t old_most) {
  LmdbEnv& env = EnvironmentAccess::lmdb(environment);
  LmdbEnv::Read read(env);
  if (read.status() != 0) return std::unexpected(lmdb_error(read.status()));
  IdemScan scan;
  MDB_stat stat;
  if (const int rc =
          mdb_stat(read.txn(), env.tables()[static_cast<std::size_t>(Table::idem)], &stat);
      rc != 0) {
    return std::unexpected(lmdb_error(rc));
  }
  scan.rows = stat.ms_entries;
  scan.rows_most = environment.meta().map_bytes / kMapBytesPerIdemRow;
  Cursor cursor(env, read.txn(), Table::idem);
  Result<Row> row = after ? cursor.from(span_of(*after)) : cursor.next();
  for (std::size_t looked = 0; looked < look_at_most && scan.old.size() < old_most; ++looked) {
    if (!row) return std::unexpected(row.error());
    if (row->key.empty()) {
      scan.last.reset();
      return scan;
    }
    IdemKey key{};
    if (row->key.size() == key.size()) {
      std::memcpy(key.data(), row->key.data(), key.size());
      const Result<IdemRecord> record = decode<IdemRecord>(row->value);
      if (!record || may_be_forgotten(*record, now_ns, age_ns)) scan.old.push_back(key);
      scan.last = key;
    }
    row = cursor.next();
  }
  return scan;
}

bool identity_holds(const WalletRecord& wallet) {
  __extension__ using Wide = __int128;
  const Wide spent = Wide{wallet.available} + wallet.held + wallet.charged + wallet.excess;
  const Wide credits =
      Wide{wallet.base} + wallet.applied + wallet.lease_granted - wallet.lease_returned;
  return spent == credits;
}

}  // namespace sluice::state
