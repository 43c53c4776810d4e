#include "sluice/state/build.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <utility>

#include "environment_impl.hpp"
#include "rows.hpp"
#include "sluice/base/crash_point.hpp"

namespace sluice::state {
namespace {

constexpr std::size_t kRowsPerTxn =
    20'000;  // LMDB's list of dirty pages is bounded; these need 2,000 of 131,071

/// Transactions of sorted inserts. Every put is at the end of its table (MDB_APPEND: no search,
/// full pages).
class Appender {
 public:
  explicit Appender(LmdbEnv& env) : env_(env) {}
  ~Appender() {
    if (txn_ != nullptr) mdb_txn_abort(txn_);
  }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  Result<> put(Table table, ByteSpan key, ByteSpan value) {
    if (txn_ == nullptr) {
      if (const int rc = mdb_txn_begin(env_.env(), nullptr, 0, &txn_); rc != 0) {
        txn_ = nullptr;
        return std::unexpected(lmdb_error(rc));
      }
    }
    MDB_val name = to_val(key);
    MDB_val data = to_val(value);
    const MDB_dbi handle = env_.tables()[static_cast<std::size_t>(table)];
    const unsigned flags = table == Table::meta ? 0 : MDB_APPEND;
    if (const int rc = mdb_put(txn_, handle, &name, &data, flags); rc != 0) {
      return std::unexpected(rc == MDB_KEYEXIST ? Error{Errc::bad_value} : lmdb_error(rc));
    }
    return ++rows_ % kRowsPerTxn == 0 ? commit() : Result<>{};
  }

  Result<> commit() {
    if (txn_ == nullptr) return {};
    crash_point();
    const int rc = mdb_txn_commit(std::exchange(txn_, nullptr));
    crash_point();
    if (rc != 0) return std::unexpected(lmdb_error(rc));
    return {};
  }

 private:
  LmdbEnv& env_;
  MDB_txn* txn_ = nullptr;
  std::size_t rows_ = 0;
};

WalletRecord wallet_record(const WalletSnapshot& snapshot) {
  WalletRecord record;
  record.wallet_id = snapshot.policy.wallet_id;
  record.base = snapshot.balance;
  record.available = snapshot.balance;
  record.applied_no = snapshot.applied_no;
  record.overdraft_limit = snapshot.policy.overdraft_limit;
  record.group = snapshot.policy.group;
  record.zone = snapshot.policy.zone;
  record.state = snapshot.policy.state;
  return record;
}

CounterRecord counter_record(CounterKind kind, WalletId wallet, std::uint64_t id, KeyState state,
                             const Limits& limits, const Window (&windows)[3], WindowIds ids) {
  CounterRecord record;
  record.kind = kind;
  record.wallet_id = wallet;
  record.id = id;
  record.state = state;
  record.limits = limits;
  record.total = windows[0];
  record.day = windows[1];
  record.month = windows[2];
  record.windows = ids;
  // Holds do not outlive an epoch.
  record.total.reserved = record.day.reserved = record.month.reserved = 0;
  return record;
}

/// Encodes and checks: what could not be read back is not written.
template <class Record>
Result<> append(Appender& out, Table table, ByteSpan key, Record record) {
  const ByteSpan bytes = encode(record);
  if (!decode<Record>(bytes)) return fail(Errc::bad_value);
  return out.put(table, key, bytes);
}

/// Where a row of one of the snapshots belongs in `accounts`. Sorting these instead of the
/// snapshots moves 24 bytes an exchange and not 400.
struct Place {
  WalletId wallet = 0;
  std::uint64_t key = 0;    ///< 0 = the wallet itself and its counters
  std::uint32_t index = 0;  ///< into wallets or keys
};

bool earlier(const Place& a, const Place& b) {
  if (a.wallet != b.wallet) return a.wallet < b.wallet;
  return a.key != b.key ? a.key < b.key : a.index < b.index;
}

Result<> append_wallet(Appender& out, const WalletSnapshot& w) {
  const WalletId id = w.policy.wallet_id;
  if (Result<> put = append(out, Table::accounts, span_of(wallet_key(id)), wallet_record(w)); !put)
    return put;
  return append(out, Table::accounts, span_of(counter_key(CounterKind::wallet, id, id)),
                counter_record(CounterKind::wallet, id, id, KeyState::active, w.policy.limits,
                               {w.total, w.day, w.month}, w.windows));
}

Result<> append_key_counters(Appender& out, const KeySnapshot& k) {
  const KeyRecord& key = k.key.record;
  return append(out, Table::accounts,
                span_of(counter_key(CounterKind::key, key.wallet_id, key.key_id)),
                counter_record(CounterKind::key, key.wallet_id, key.key_id, key.state, k.key.limits,
                               {k.total, k.day, k.month}, k.windows));
}

Result<> append_accounts(Appender& out, const std::vector<WalletSnapshot>& wallets,
                         const std::vector<KeySnapshot>& keys) {
  std::vector<Place> places;
  places.reserve(wallets.size() + keys.size());
  for (std::uint32_t i = 0; i < wallets.size(); ++i)
    places.push_back({wallets[i].policy.wallet_id, 0, i});
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    places.push_back({keys[i].key.record.wallet_id, keys[i].key.record.key_id, i});
  }
  std::ranges::sort(places, earlier);
  const Place* last = nullptr;
  for (const Place& place : places) {
    const bool again = last != nullptr && last->wallet == place.wallet && last->key == place.key;
    last = &place;
    // Several digests may name one key id: its first snapshot has the sums. A wallet is there once.
    if (again && place.key != 0) continue;
    Result<> put = place.key == 0 ? append_wallet(out, wallets[place.index])
                                  : append_key_counters(out, keys[place.index]);
    if (!put) return put;
  }
  return {};
}

Result<> append_keys(Appender& out, const std::vector<KeySnapshot>& keys) {
  std::vector<std::uint32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {},
                    [&](std::uint32_t i) -> const Digest256& { return keys[i].key.digest; });
  for (const std::uint32_t i : order) {
    const ByteSpan digest = std::as_bytes(std::span(keys[i].key.digest));
    if (Result<> put = append(out, Table::keys, digest, keys[i].key.record); !put) return put;
  }
  return {};
}

Result<> append_slots(Appender& out, std::uint32_t slots) {
  for (SlotId slot = 0; slot < slots; ++slot) {
    SlotRecord record;
    record.slot = slot;
    if (Result<> put = append(out, Table::slots, span_of(number_key(slot)), record); !put)
      return put;
  }
  return {};
}

Result<> append_all(LmdbEnv& lmdb, MetaRecord& meta, const std::vector<WalletSnapshot>& wallets,
                    const std::vector<KeySnapshot>& keys) {
  Appender out(lmdb);
  meta.ready = 0;
  if (Result<> put = out.put(Table::meta, meta_key(), encode(meta)); !put) return put;
  // Keys first: they are checked there, and an id of 0 would pass for a wallet in `accounts`.
  if (Result<> put = append_keys(out, keys); !put) return put;
  if (Result<> put = append_accounts(out, wallets, keys); !put) return put;
  if (Result<> put = append_slots(out, meta.slots); !put) return put;
  if (Result<> put = out.commit(); !put) return put;
  // Last of all: an epoch without it is dead.
  meta.ready = 1;
  if (Result<> put = out.put(Table::meta, meta_key(), encode(meta)); !put) return put;
  return out.commit();
}

/// Takes `ready` away from an environment that is replaced: whoever is still attached to it gets
/// stale_epoch at his next transaction. Best effort, for an old one may be damaged.
void retire(const std::string& directory, const std::string& epoch_directory) {
  std::string message;
  Result<std::unique_ptr<Environment::Impl>> old = open_epoch(directory, epoch_directory, message);
  if (!old) return;
  Result<Tables*> tables = (*old)->store->begin();
  if (!tables) return;
  MetaRecord meta = (*old)->meta;
  meta.ready = 0;
  if (!store(**tables, Table::meta, meta_key(), meta)) {
    (*old)->store->abort();
    return;
  }
  if (!(*old)->store->commit()) return;
}

Result<> point_current_at(const std::string& directory, const std::string& name,
                          std::string& message) {
  const std::string temporary = directory + "/current.new";
  unlink(temporary.c_str());
  crash_point();
  if (symlink(name.c_str(), temporary.c_str()) != 0 ||
      rename(temporary.c_str(), (directory + "/current").c_str()) != 0) {
    const int error = errno;
    message = "cannot point " + directory + "/current at " + name + ": " + std::strerror(error);
    return fail(Errc::io, Source::self, Retry::no, error);
  }
  crash_point();
  return {};
}

std::string read_boot_id(const std::string& file) {
  std::ifstream in(file);
  std::string text;
  in >> text;
  return text;
}

/// "xxxxxxxx-xxxx-…" as 16 bytes; zeros when it cannot be read.
Uuid parse_boot_id(const std::string& text) {
  Uuid uuid{};
  std::size_t digits = 0;
  for (const char c : text) {
    const char lower = static_cast<char>(c | 0x20);
    int value = -1;
    if (c >= '0' && c <= '9') value = c - '0';
    if (lower >= 'a' && lower <= 'f') value = lower - 'a' + 10;
    if (value < 0) continue;
    if (digits / 2 >= uuid.size()) return {};
    uuid[digits / 2] = static_cast<std::uint8_t>(uuid[digits / 2] << 4 | value);
    ++digits;
  }
  return digits == 32 ? uuid : Uuid{};
}

Result<> make_directory(const std::string& path, std::string& message) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);  // left over from a build that did not end
  if (mkdir(path.c_str(), 0770) == 0) return {};
  const int error = errno;
  message = "cannot create " + path + ": " + std::strerror(error);
  return fail(Errc::io, Source::self, Retry::no, error);
}

Result<> build_in(const BuildOptions& options, const std::string& path,
                  const std::vector<WalletSnapshot>& wallets, const std::vector<KeySnapshot>& keys,
                  Rng& rng, std::string& message) {
  MetaRecord meta;
  meta.lmdb_flags = kLmdbFlags;
  meta.node = options.node;
  meta.epoch = options.epoch;
  rng.fill(meta.uuid);
  meta.boot_id = parse_boot_id(read_boot_id(options.boot_id_file));
  if (meta.boot_id == Uuid{}) {  // no start after this one could tell that it is of this boot
    message = "cannot read " + options.boot_id_file;
    return fail(Errc::io);
  }
  meta.slots = options.slots;
  meta.published_generation = options.published_generation;
  meta.created_at_ns = options.realtime_ns;
  meta.map_bytes = options.map_bytes;
  const Boards::Shape shape{meta.uuid, meta.epoch, options.slots, options.meter_entries};
  if (const auto boards = Boards::create(path, shape, message); !boards) {
    return std::unexpected(boards.error());
  }
  LmdbEnv lmdb;
  if (Result<> opened = lmdb.open(path, true, options.map_bytes, message); !opened) return opened;
  if (Result<> filled = append_all(lmdb, meta, wallets, keys); !filled) {
    switch (filled.error().code) {
      case Errc::full:
        message = "the map of " + std::to_string(options.map_bytes / kMiB) +
                  " MiB is too small for " + std::to_string(keys.size()) + " keys";
        break;
      case Errc::bad_value:
        message = "a wallet or key of the snapshot is impossible or there twice";
        break;
      default:
        message = "cannot write the new environment";
    }
    return filled;
  }
  return {};
}

}  // namespace

Result<> build_epoch(const BuildOptions& options, const EnvironmentLock&,
                     const std::vector<WalletSnapshot>& wallets,
                     const std::vector<KeySnapshot>& keys, Rng& rng, std::string& message) {
  if (options.epoch == 0 || options.map_bytes < kMiB || options.map_bytes % 4096 != 0) {
    message = "an epoch has a number above 0 and a map of at least 1 MiB in whole pages";
    return fail(Errc::bad_value);
  }
  std::optional<AllSlots> slots;
  if (options.slots_held == nullptr) {
    auto taken = AllSlots::acquire(options.directory);
    if (!taken) {
      message = taken.error().code == Errc::conflict
                    ? "a shard still holds a slot of " + options.directory
                    : "cannot create " + options.directory +
                          "/slots.lock: " + std::strerror(taken.error().sys_errno);
      return std::unexpected(taken.error());
    }
    slots.emplace(std::move(*taken));
  }
  const std::string previous = current_epoch_directory(options.directory);
  const std::string name = epoch_name(options.epoch);
  const std::string path = options.directory + "/" + name;
  if (path == previous) {
    message = name + " is in use: an epoch is never built twice";
    return fail(Errc::conflict);
  }
  if (Result<> made = make_directory(path, message); !made) return made;
  if (Result<> built = build_in(options, path, wallets, keys, rng, message); !built) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    return built;
  }
  if (!previous.empty() && !options.previous_is_damaged) retire(options.directory, previous);
  return point_current_at(options.directory, name, message);
}

/// No damage: another try may find all as it was.
static bool passes(Errc code) { return code == Errc::io || code == Errc::full; }

WarmCheck check_warm(const std::string& directory, const std::string& boot_id_file) {
  WarmCheck check;
  if (const Result<bool> locked = any_slot_locked(directory); locked) check.slot_locked = *locked;
  const std::string path = current_epoch_directory(directory);
  if (path.empty()) {
    check.detail = "there is no environment in " + directory;
    return check;
  }
  const Result<std::unique_ptr<Environment::Impl>> impl = open_epoch(directory, path, check.detail);
  if (!impl) {
    if (passes(impl.error().code)) check.error = impl.error();
    return check;
  }
  check.meta = (*impl)->meta;
  check.exists = check.meta.ready == 1 && (*impl)->boards->shape().uuid == check.meta.uuid;
  check.same_schema = check.meta.schema == kSchemaVersion && check.meta.lmdb_flags == kLmdbFlags;
  const Uuid boot_id = parse_boot_id(read_boot_id(boot_id_file));
  if (boot_id == Uuid{}) {
    check.detail = "cannot read " + boot_id_file;
    check.error = {Errc::io};
    return check;
  }
  check.same_boot = boot_id == check.meta.boot_id;
  if (!check.exists)
    check.detail = "the environment was not completed or was retired";
  else if (!check.same_schema)
    check.detail = "the environment is of another version";
  else if (!check.same_boot)
    check.detail = "the machine was started again since";
  return check;
}

std::uint64_t current_epoch(const std::string& directory) {
  const std::string path = current_epoch_directory(directory);
  std::uint64_t epoch = 0;
  const std::size_t from = path.rfind('.') + 1;
  if (!path.empty()) std::from_chars(path.data() + from, path.data() + path.size(), epoch);
  return epoch;
}

Result<> remove_old_epochs(const std::string& directory, const EnvironmentLock&,
                           std::uint64_t keep) {
  const std::string current = current_epoch_directory(directory);
  const std::string kept = directory + "/" + epoch_name(keep);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string path = entry.path().string();
    if (!entry.path().filename().string().starts_with("epoch.") || path == current) continue;
    if (keep != 0 && path == kept) continue;
    std::filesystem::remove_all(entry.path(), error);
    if (error) break;
  }
  if (error) return fail(Errc::io, Source::self, Retry::no, error.value());
  return {};
}

}  // namespace sluice::state
