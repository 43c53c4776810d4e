#include "lmdb_env.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>

#include "key_order.hpp"
#include "lmdb_reserve.h"

namespace sluice::state {
namespace {

constexpr unsigned kMaxReaders = 512;
constexpr mdb_mode_t kFileMode = 0660;

/// Tables whose key is one number: LMDB compares those as integers.
bool number_keyed(Table table) { return table == Table::slots; }

/// LMDB's default order, which other programs use, for keys of the usual length by words.
template <std::size_t Bytes, Search For = Search::waits>
int compare(const MDB_val* a, const MDB_val* b) {
  if (a->mv_size == Bytes && b->mv_size == Bytes) [[likely]] {
    return compare_keys<Bytes, For>(static_cast<const std::byte*>(a->mv_data),
                                    static_cast<const std::byte*>(b->mv_data));
  }
  const int order = std::memcmp(a->mv_data, b->mv_data, std::min(a->mv_size, b->mv_size));
  if (order != 0 || a->mv_size == b->mv_size) return order;
  return a->mv_size < b->mv_size ? -1 : 1;
}

/// Null where LMDB knows a quick way itself, or the table is small.
MDB_cmp_func* comparison_of(Table table) {
  switch (table) {
    case Table::keys:
      return compare<sizeof(Digest256), Search::guesses>;  // the order of digests has no neighbours
    case Table::accounts:
      return compare<sizeof(AccountKey)>;
    case Table::holds:
      return compare<sizeof(HoldKey)>;
    case Table::outbox:
      return compare<sizeof(OutboxKey)>;
    case Table::idem:
      return compare<sizeof(IdemKey)>;
    case Table::meta:
    case Table::slots:
    case Table::catalog:
      break;
  }
  return nullptr;
}

struct Readers {
  std::uint32_t count = 0;
  std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
};

/// LMDB tells its readers only as text: "pid thread txnid" a line, "-" for an idle slot.
int note_reader(const char* line, void* context) {
  auto& readers = *static_cast<Readers*>(context);
  unsigned long pid = 0;
  unsigned long thread = 0;
  unsigned long long txn = 0;
  if (std::sscanf(line, "%lu %lx %llu", &pid, &thread, &txn) == 3) {
    ++readers.count;
    readers.oldest = std::min<std::uint64_t>(readers.oldest, txn);
  }
  return 0;
}

/// Pages on the free list that the next writer may take: freed before the oldest reader began.
Result<std::uint64_t> reusable_pages(MDB_txn* txn, std::uint64_t oldest_reader) {
  constexpr MDB_dbi kFreeList = 0;
  // A held reader makes one row a transaction; far more than this means that it is nearly all
  // pinned.
  constexpr int kMostRows = 20'000;
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(txn, kFreeList, &cursor); rc != 0) {
    return std::unexpected(lmdb_error(rc));
  }
  std::uint64_t pages = 0;
  MDB_val key;
  MDB_val value;
  int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  for (int row = 0; rc == 0 && row < kMostRows; ++row) {
    std::size_t freed_by = 0;
    std::size_t count = 0;
    if (key.mv_size == sizeof(freed_by) && value.mv_size >= sizeof(count)) {
      std::memcpy(&freed_by, key.mv_data, sizeof(freed_by));
      std::memcpy(&count, value.mv_data, sizeof(count));
      if (freed_by >= oldest_reader) break;
      pages += count;
    }
    rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  mdb_cursor_close(cursor);
  if (rc != 0 && rc != MDB_NOTFOUND) return std::unexpected(lmdb_error(rc));
  return pages;
}

}  // namespace

Error lmdb_error(int rc) {
  switch (rc) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_READERS_FULL:
    case ENOSPC:
      return {Errc::full, Source::self, Retry::no, rc};
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_PANIC:
    case MDB_BAD_VALSIZE:
      return {Errc::corrupt, Source::self, Retry::no, rc};
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
      return {Errc::unsupported, Source::self, Retry::no, rc};
    default:
      return {Errc::io, Source::self, Retry::no, rc};
  }
}

std::string lmdb_data_file(const std::string& path) { return path + "/data.mdb"; }

LmdbEnv::~LmdbEnv() {
  if (read_txn_ != nullptr) mdb_txn_abort(read_txn_);
  if (env_ != nullptr) mdb_env_close(env_);
}

Result<> LmdbEnv::open(const std::string& path, bool create, std::uint64_t map_bytes,
                       std::string& message) {
  const auto failed = [&](const char* what, int rc) {
    message = std::string(what) + " " + path + ": " + mdb_strerror(rc);
    return std::unexpected(lmdb_error(rc));
  };
  // LMDB would quietly create what is not there.
  if (!create && access(lmdb_data_file(path).c_str(), R_OK | W_OK) != 0) {
    const int error = errno;
    message = "cannot open " + lmdb_data_file(path) + ": " + std::strerror(error);
    return fail(error == ENOENT ? Errc::not_found : Errc::io, Source::self, Retry::no, error);
  }
  int rc = mdb_env_create(&env_);
  if (rc == 0) rc = mdb_env_set_maxdbs(env_, kTables);
  if (rc == 0) rc = mdb_env_set_maxreaders(env_, kMaxReaders);
  if (rc == 0 && create) rc = mdb_env_set_mapsize(env_, map_bytes);
  if (rc == 0) rc = mdb_env_open(env_, path.c_str(), kLmdbFlags, kFileMode);
  if (rc != 0) return failed("cannot open the environment in", rc);
  if (create) {
    if (const Result<> allocated = allocate(map_bytes, message); !allocated) return allocated;
  }
  return open_tables(create, message);
}

/// Under WRITEMAP a page that the tmpfs cannot give is a SIGBUS; allocated in advance it cannot
/// happen (facts/state.md M2).
Result<> LmdbEnv::allocate(std::uint64_t map_bytes, std::string& message) {
  mdb_filehandle_t fd = -1;
  if (const int rc = mdb_env_get_fd(env_, &fd); rc != 0) return std::unexpected(lmdb_error(rc));
  const int rc = posix_fallocate(fd, 0, static_cast<off_t>(map_bytes));
  if (rc == 0) return {};
  message =
      "no room for a map of " + std::to_string(map_bytes / kMiB) + " MiB: " + std::strerror(rc);
  return std::unexpected(lmdb_error(rc));
}

Result<> LmdbEnv::open_tables(bool create, std::string& message) {
  const MayTakeOver reserve;
  MDB_txn* txn = nullptr;
  int rc = mdb_txn_begin(env_, nullptr, create ? 0 : MDB_RDONLY, &txn);
  if (rc != 0) {
    message = std::string("cannot begin a transaction: ") + mdb_strerror(rc);
    return std::unexpected(lmdb_error(rc));
  }
  for (std::size_t i = 0; rc == 0 && i < kTables; ++i) {
    const auto table = static_cast<Table>(i);
    unsigned flags = create ? MDB_CREATE : 0;
    if (number_keyed(table)) flags |= MDB_INTEGERKEY;
    rc = mdb_dbi_open(txn, table_name(table), flags, &tables_[i]);
    MDB_cmp_func* const by_words = comparison_of(table);
    if (rc == 0 && by_words != nullptr) rc = mdb_set_compare(txn, tables_[i], by_words);
  }
  if (rc != 0) {
    mdb_txn_abort(txn);
    message = rc == MDB_NOTFOUND ? "a table is missing: not complete, or not of this version"
                                 : std::string("cannot open the tables: ") + mdb_strerror(rc);
    return std::unexpected(rc == MDB_NOTFOUND ? Error{Errc::unavailable} : lmdb_error(rc));
  }
  if (rc = mdb_txn_commit(txn); rc != 0) {
    message = std::string("cannot commit: ") + mdb_strerror(rc);
    return std::unexpected(lmdb_error(rc));
  }
  rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &read_txn_);
  if (rc != 0) {
    message = std::string("cannot begin a read transaction: ") + mdb_strerror(rc);
    return std::unexpected(lmdb_error(rc));
  }
  mdb_txn_reset(read_txn_);
  return {};
}

LmdbEnv::Read::Read(LmdbEnv& env) : env_(env), rc_(mdb_txn_renew(env.read_txn_)) {}

LmdbEnv::Read::~Read() {
  if (rc_ == 0) mdb_txn_reset(env_.read_txn_);
}

Result<ByteSpan> LmdbEnv::Read::get(Table table, ByteSpan key) {
  if (rc_ != 0) return std::unexpected(lmdb_error(rc_));
  MDB_val name = to_val(key);
  MDB_val value;
  const int rc =
      mdb_get(env_.read_txn_, env_.tables_[static_cast<std::size_t>(table)], &name, &value);
  if (rc == MDB_NOTFOUND) return ByteSpan{};
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  return to_span(value);
}

Result<Environment::MapUse> LmdbEnv::map_use(MDB_txn* txn) {
  MDB_envinfo info;
  MDB_stat stat;
  int rc = mdb_env_info(env_, &info);
  if (rc == 0) rc = mdb_env_stat(env_, &stat);
  if (rc != 0) return std::unexpected(lmdb_error(rc));
  Readers readers;
  // It returns the last callback's value or a count: only negative numbers are errors here.
  rc = mdb_reader_list(env_, note_reader, &readers);
  if (rc < 0) return std::unexpected(lmdb_error(rc));
  Environment::MapUse use;
  use.map_pages = info.me_mapsize / stat.ms_psize;
  use.high_pages = info.me_last_pgno + 1;
  use.readers = readers.count;
  if (readers.count > 0 && readers.oldest < info.me_last_txnid) {
    use.oldest_reader_lag = info.me_last_txnid - readers.oldest;
  }
  const Result<std::uint64_t> reusable = reusable_pages(txn, readers.oldest);
  if (!reusable) return std::unexpected(reusable.error());
  use.reusable_pages = std::min(*reusable, use.high_pages);
  return use;
}

}  // namespace sluice::state
