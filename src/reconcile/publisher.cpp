#include "publisher.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <unordered_map>

#include "sluice/base/crash_point.hpp"
#include "sluice/base/log.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::int64_t kDeltasPerPass = 512;
constexpr TimeNs kAnnounceWaitNs = 2 * kSecond;
constexpr TimeNs kRetryNs = 10 * kSecond;
constexpr std::uint64_t kFilesKept = 8;  ///< shards that are slow to notice still find theirs

#define RECONCILE_TRY(expression) \
  if (auto outcome = (expression); !outcome) return std::unexpected(outcome.error())

}  // namespace

Publisher::Publisher(ledger::Ledger& ledger, state::Environment& environment, Resolver& resolver, const Clock& clock,
                     std::uint32_t node)
    : ledger_(ledger), environment_(environment), writer_(environment), resolver_(resolver), clock_(clock), node_(node) {
  published_generation_ = static_cast<std::int64_t>(environment.meta().published_generation);
  if (const auto meta = environment.read_meta()) {
    published_generation_ = static_cast<std::int64_t>(meta->published_generation);
  }
  if (const auto pointer = environment.catalog_pointer()) addresses_generation_ = pointer->addresses_generation;
}

Result<> Publisher::run() {
  auto& catalog = ledger_.catalog();
  // A start builds a file of its own: prices and windows may have come into force while nobody looked.
  if (rebuild_at_ns_ == 0 || clock_.realtime_ns() >= rebuild_at_ns_) {
    RECONCILE_TRY(catalog.touch(ledger::Topic::catalog));
    rebuild_at_ns_ = clock_.realtime_ns() + kRetryNs;  // overwritten by the plan
  }
  // Read before anything else: what is stored after this moment waits for the next pass.
  const auto newest = catalog.newest();
  if (!newest) return std::unexpected(newest.error());
  if (*newest > published_generation_) {
    const auto generation = catalog.generation(ledger::Topic::catalog);
    if (!generation) return std::unexpected(generation.error());
    // The catalog first: keys and wallets name sets and zones in it.
    if (*generation > built_generation_) RECONCILE_TRY(publish_catalog());
    RECONCILE_TRY(publish_wallets());
    RECONCILE_TRY(publish_keys());
    published_generation_ = *newest;
    announce_deadline_ns_ = clock_.monotonic_ns() + kAnnounceWaitNs;
    RECONCILE_TRY(writer_.set_published(static_cast<std::uint64_t>(published_generation_)));
  }
  RECONCILE_TRY(publish_deltas());
  RECONCILE_TRY(publish_addresses());
  return announce();
}

std::set<std::uint64_t> Publisher::versions_of_open_holds() {
  std::set<std::uint64_t> out;
  state::StateCopy copy;
  if (!state::copy_state(environment_, state::kCopyHolds, copy)) return out;
  for (const state::HoldRow& hold : copy.holds) out.insert(hold.record.price_version);
  return out;
}

Result<> Publisher::publish_catalog() {
  auto snapshot = ledger_.catalog().snapshot();
  if (!snapshot) return std::unexpected(snapshot.error());
  prices_ = PriceBook(snapshot->prices, snapshot->models);
  std::vector<std::string> warnings;
  CatalogPlan plan = plan_catalog(*snapshot, prices_, versions_of_open_holds(), clock_.realtime_ns(), warnings);
  for (const std::string& warning : warnings) log_line(LogLevel::warning, "reconcile", warning);
  std::string message;
  const auto bytes = state::build_catalog(plan.spec, message);
  if (!bytes) {
    log_line(LogLevel::error, "reconcile", "catalog cannot be built: " + message);
    return std::unexpected(bytes.error());
  }
  const std::string name = state::catalog_file_name(plan.spec.generation);
  crash_point();
  RECONCILE_TRY(state::write_file(environment_.epoch_directory(), name, *bytes));
  crash_point();
  RECONCILE_TRY(writer_.set_catalog(plan.spec.generation, name, state::file_hash(*bytes)));
  numbers_ = TextNumbers(snapshot->texts);
  built_generation_ = snapshot->generation;
  rebuild_at_ns_ = plan.rebuild_at_ns;
  resolver_.want(plan.hosts);
  remove_old_files();
  return {};
}

Result<> Publisher::publish_wallets() {
  auto wallets = ledger_.customers().wallets_changed_after(published_generation_);
  if (!wallets) return std::unexpected(wallets.error());
  std::vector<state::WalletPublish> rows;
  for (const ledger::Wallet& wallet : *wallets) {
    const auto row = to_publish(wallet, numbers_);
    if (row) {
      rows.push_back(*row);
    } else {
      log_line(LogLevel::error, "reconcile", "wallet " + std::to_string(wallet.id) + " names an unknown zone");
    }
  }
  const auto done = writer_.publish_wallets(rows);
  if (done.committed < rows.size()) return std::unexpected(done.error);
  return {};
}

Result<> Publisher::publish_keys() {
  auto keys = ledger_.keys().changed_after(published_generation_);
  if (!keys) return std::unexpected(keys.error());
  if (keys->empty()) return {};
  std::unordered_map<ledger::Id, ledger::Wallet> wallets;
  std::vector<state::KeyPublish> rows;
  for (const ledger::ApiKey& key : *keys) {
    auto wallet = wallets.find(key.wallet_id);
    if (wallet == wallets.end()) {
      auto found = ledger_.customers().wallet(key.wallet_id);
      if (!found) return std::unexpected(found.error());
      wallet = wallets.emplace(key.wallet_id, std::move(*found)).first;
    }
    const auto row = to_publish(key, wallet->second, numbers_);
    if (row) {
      rows.push_back(*row);
    } else {
      log_line(LogLevel::error, "reconcile", "key " + std::to_string(key.id) + " cannot be published");
    }
  }
  const auto done = writer_.publish_keys(rows);
  if (done.committed < rows.size()) return std::unexpected(done.error);
  return {};
}

// Row 10.
Result<> Publisher::publish_deltas() {
  auto queued = ledger_.money().queued(kDeltasPerPass);
  if (!queued) return std::unexpected(queued.error());
  if (queued->empty()) return {};
  std::vector<state::DeltaVerb> deltas;
  for (const ledger::Delta& delta : *queued) {
    deltas.push_back({static_cast<state::WalletId>(delta.wallet_id), static_cast<std::uint64_t>(delta.wallet_no), delta.amount});
  }
  const auto done = writer_.publish_deltas(deltas);
  for (std::size_t i = 0; i < done.committed; ++i) {
    const bool last_of_wallet = i + 1 == done.committed || (*queued)[i + 1].wallet_id != (*queued)[i].wallet_id;
    if (last_of_wallet) RECONCILE_TRY(ledger_.money().published((*queued)[i].wallet_id, (*queued)[i].wallet_no));
  }
  if (done.committed == deltas.size()) return {};
  const ledger::Delta& stuck = (*queued)[done.committed];
  if (done.error.code == Errc::conflict) {
    log_line(LogLevel::error, "reconcile",
             "wallet " + std::to_string(stuck.wallet_id) + ": delta " + std::to_string(stuck.wallet_no) +
                 " does not follow what shared state has: run sluice check");
  }
  return std::unexpected(done.error);
}

Result<> Publisher::publish_addresses() {
  const std::uint64_t version = resolver_.version();
  if (built_generation_ == 0 || version == addresses_version_ || !resolver_.settled()) return {};
  const auto bytes = state::build_addresses(addresses_generation_ + 1, resolver_.addresses());
  if (!bytes) return std::unexpected(bytes.error());
  const std::string name = state::addresses_file_name(addresses_generation_ + 1);
  crash_point();
  RECONCILE_TRY(state::write_file(environment_.epoch_directory(), name, *bytes));
  crash_point();
  RECONCILE_TRY(writer_.set_addresses(addresses_generation_ + 1, name, state::file_hash(*bytes)));
  ++addresses_generation_;
  addresses_version_ = version;
  return {};
}

/// Whether every shard that serves has mapped this catalog.
bool Publisher::shards_use(std::uint64_t catalog_generation) {
  const TimeNs now_ns = clock_.monotonic_ns();
  for (const state::ShardBlock& shard : environment_.boards().shards()) {
    const bool serving = shard.state.load(std::memory_order_relaxed) == static_cast<std::uint32_t>(state::ShardState::serving);
    const bool alive = now_ns - shard.heartbeat_ns.load(std::memory_order_relaxed) < state::kHeartbeatStaleNs;
    if (serving && alive && shard.catalog_generation.load(std::memory_order_relaxed) < catalog_generation) return false;
  }
  return true;
}

/// Tells the ledger what is visible, when the shards have it too; one that hangs is not waited for for ever.
Result<> Publisher::announce() {
  if (announced_generation_ == published_generation_) return {};
  const auto pointer = environment_.catalog_pointer();
  if (!pointer) return std::unexpected(pointer.error());
  const bool late = clock_.monotonic_ns() > announce_deadline_ns_;
  if (!late && (!shards_use(pointer->catalog_generation) || !resolver_.settled() || addresses_version_ != resolver_.version())) {
    return {};
  }
  RECONCILE_TRY(ledger_.catalog().set_published(node_, published_generation_));
  announced_generation_ = published_generation_;
  return {};
}

/// Removes catalog and address files that nobody can be about to open. Mapped ones live on until unmapped.
void Publisher::remove_old_files() {
  const auto pointer = environment_.catalog_pointer();
  if (!pointer) return;
  std::error_code error;
  std::vector<std::pair<std::uint64_t, std::filesystem::path>> catalogs, addresses;
  for (const auto& entry : std::filesystem::directory_iterator(environment_.epoch_directory(), error)) {
    const std::string name = entry.path().filename().string();
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) continue;
    const std::uint64_t number = std::strtoull(name.c_str() + dot + 1, nullptr, 10);
    if (name == state::catalog_file_name(number)) catalogs.emplace_back(number, entry.path());
    if (name == state::addresses_file_name(number)) addresses.emplace_back(number, entry.path());
  }
  for (auto* files : {&catalogs, &addresses}) {
    std::sort(files->begin(), files->end());
    for (std::size_t i = 0; i + kFilesKept < files->size(); ++i) std::filesystem::remove((*files)[i].second, error);
  }
}

}  // namespace sluice::reconcile
