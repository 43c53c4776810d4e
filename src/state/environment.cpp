#include "sluice/state/environment.hpp"

#include <unistd.h>

#include <array>
#include <string_view>
#include <thread>

#include "environment_impl.hpp"
#include "lmdb_reserve.h"
#include "rows.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::state {
namespace {

/// One get in one read transaction, decoded.
template <class Record>
Result<std::optional<Record>> find(LmdbEnv& lmdb, Table table, ByteSpan key) {
  LmdbEnv::Read read(lmdb);
  const Result<ByteSpan> bytes = read.get(table, key);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->empty()) return std::nullopt;
  Result<std::optional<Record>> found(std::in_place, std::in_place);
  if (!decode_into(*bytes, **found)) return fail(Errc::corrupt);
  return found;
}

Result<> check_meta(const MetaRecord& meta, const Boards& boards, std::string& message) {
  if (meta.schema != kSchemaVersion || meta.write_version > kSchemaVersion ||
      meta.lmdb_flags != kLmdbFlags) {
    message = "the shared state has schema " + std::to_string(meta.schema) + " and flags " +
              std::to_string(meta.lmdb_flags) + ", this program has " +
              std::to_string(kSchemaVersion) + " and " + std::to_string(kLmdbFlags) +
              ": restart all programs with one version";
    return fail(Errc::unsupported);
  }
  if (meta.ready != 1) {
    message = "the shared state is not ready: sluice-reconciler has not completed it";
    return fail(Errc::unavailable);
  }
  if (boards.shape().uuid != meta.uuid || boards.shape().epoch != meta.epoch) {
    message = "boards and tables are not of one environment";
    return fail(Errc::corrupt);
  }
  return {};
}

Result<std::unique_ptr<Environment>> open_once(const std::string& directory, std::string& message) {
  const std::string epoch_directory = current_epoch_directory(directory);
  if (epoch_directory.empty()) {
    message = "no shared state in " + directory + ": is sluice-reconciler running?";
    return fail(Errc::not_found);
  }
  Result<std::unique_ptr<Environment::Impl>> impl = open_epoch(directory, epoch_directory, message);
  if (!impl) return std::unexpected(impl.error());
  if (Result<> checked = check_meta((*impl)->meta, *(*impl)->boards, message); !checked) {
    return std::unexpected(checked.error());
  }
  return EnvironmentAccess::make(std::move(*impl));
}

/// Errors that a reconciler at work may cure.
bool may_come(Errc code) { return code == Errc::not_found || code == Errc::unavailable; }

}  // namespace

std::string epoch_name(std::uint64_t epoch) { return "epoch." + std::to_string(epoch); }

std::string current_epoch_directory(const std::string& directory) {
  std::array<char, 256> target{};
  const ssize_t bytes = readlink((directory + "/current").c_str(), target.data(), target.size());
  if (bytes <= 0 || static_cast<std::size_t>(bytes) >= target.size()) return {};
  const std::string_view name(target.data(), static_cast<std::size_t>(bytes));
  // Only ever a name beside it: a link that leads elsewhere is not ours.
  if (!name.starts_with("epoch.") || name.find('/') != std::string_view::npos) return {};
  return directory + "/" + std::string(name);
}

Result<std::unique_ptr<Environment::Impl>> open_epoch(const std::string& directory,
                                                      const std::string& epoch_directory,
                                                      std::string& message) {
  auto impl = std::make_unique<Environment::Impl>();
  impl->directory = directory;
  impl->epoch_directory = epoch_directory;
  if (Result<> opened = impl->lmdb.open(epoch_directory, false, 0, message); !opened) {
    return std::unexpected(opened.error());
  }
  Result<std::unique_ptr<Boards>> boards = Boards::attach(epoch_directory, message);
  if (!boards) return std::unexpected(boards.error());
  impl->boards = std::move(*boards);
  const Result<std::optional<MetaRecord>> meta =
      find<MetaRecord>(impl->lmdb, Table::meta, meta_key());
  if (!meta || !*meta) {
    message = "the shared state in " + epoch_directory + " has no readable meta record";
    return std::unexpected(meta ? Error{Errc::unavailable} : meta.error());
  }
  impl->meta = **meta;
  impl->store = std::make_unique<LmdbStore>(impl->lmdb, impl->meta);
  return impl;
}

Result<std::unique_ptr<Environment>> open(const OpenOptions& options, std::string& message) {
  constexpr TimeNs kPoll = 10 * kMillisecond;
  const TimeNs until = system_clock().monotonic_ns() + options.wait_ready_ns;
  for (;;) {
    Result<std::unique_ptr<Environment>> environment = open_once(options.directory, message);
    if (environment || !may_come(environment.error().code)) return environment;
    if (system_clock().monotonic_ns() >= until) return environment;
    std::this_thread::sleep_for(std::chrono::nanoseconds(kPoll));
  }
}

Environment::Environment(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Environment::~Environment() = default;

const MetaRecord& Environment::meta() const { return impl_->meta; }
Boards& Environment::boards() { return *impl_->boards; }
const std::string& Environment::epoch_directory() const { return impl_->epoch_directory; }
Store& Environment::store() { return *impl_->store; }

Result<std::optional<KeyRecord>> Environment::find_key(const Digest256& digest) {
  return find<KeyRecord>(impl_->lmdb, Table::keys, std::as_bytes(std::span(digest)));
}

Result<std::optional<WalletRecord>> Environment::find_wallet(WalletId id) {
  return find<WalletRecord>(impl_->lmdb, Table::accounts, span_of(wallet_key(id)));
}

Result<std::optional<CounterRecord>> Environment::find_counters(CounterKind kind, WalletId wallet,
                                                                std::uint64_t id) {
  return find<CounterRecord>(impl_->lmdb, Table::accounts, span_of(counter_key(kind, wallet, id)));
}

Result<std::optional<HoldRecord>> Environment::find_hold(const HoldId& id) {
  return impl_->store->find_hold(id);
}

Result<SlotRecord> Environment::find_slot(SlotId slot) { return impl_->store->find_slot(slot); }

Result<MetaRecord> Environment::read_meta() {
  const Result<std::optional<MetaRecord>> meta =
      find<MetaRecord>(impl_->lmdb, Table::meta, meta_key());
  if (!meta) return std::unexpected(meta.error());
  if (!*meta) return fail(Errc::corrupt);
  return **meta;
}

Result<CatalogPointer> Environment::catalog_pointer() {
  const Result<std::optional<CatalogPointer>> pointer =
      find<CatalogPointer>(impl_->lmdb, Table::catalog, catalog_key());
  if (!pointer) return std::unexpected(pointer.error());
  return pointer->value_or(CatalogPointer{});
}

std::uint64_t Environment::last_txn() const {
  MDB_envinfo info;
  return mdb_env_info(impl_->lmdb.env(), &info) == 0 ? info.me_last_txnid : 0;
}

Result<Environment::MapUse> Environment::map_use() {
  LmdbEnv::Read read(impl_->lmdb);
  if (read.status() != 0) return std::unexpected(lmdb_error(read.status()));
  return impl_->lmdb.map_use(read.txn());
}

Result<int> Environment::check_readers() {
  const MayTakeOver reserve;
  int dead = 0;
  if (const int rc = mdb_reader_check(impl_->lmdb.env(), &dead); rc != 0) {
    return std::unexpected(lmdb_error(rc));
  }
  return dead;
}

}  // namespace sluice::state
