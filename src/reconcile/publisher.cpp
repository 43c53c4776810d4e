#include "publisher.hpp"

#include <algorithm>

#include "sluice/base/log.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::int64_t kDeltasAtOnce = 500;
// A shard looks for new files every 20 ms; one that is busy may take a little longer.
constexpr TimeNs kShardsLookNs = 60 * kMillisecond;
// How long a publication waits for names that are being looked up for the first time.
constexpr TimeNs kLookupPatienceNs = 2 * kSecond;
constexpr std::int64_t kHistory = 10'000;

}  // namespace

Publisher::Publisher(state::Environment& environment, ledger::Ledger& ledger, const Clock& clock,
                     const Options& options)
    : environment_(environment),
      ledger_(ledger),
      clock_(clock),
      node_(options.node),
      writer_(environment),
      catalog_(environment, clock, options.zone_directory,
               options.total_timeout_ns + 3600 * kSecond),
      addresses_(environment, clock, options.lookup ? options.lookup : Lookup(system_lookup),
                 options.allow_private) {
  const auto meta = environment.read_meta();
  published_ = meta ? static_cast<std::int64_t>(meta->published_generation) : 0;
}

void Publisher::keep_names(const ledger::CatalogSnapshot& snapshot) {
  for (const ledger::Model& model : snapshot.models) model_names_[model.id] = model.name;
  for (const ledger::Channel& channel : snapshot.channels) {
    channel_names_[channel.id] = channel.name;
    const auto provider =
        std::ranges::find(snapshot.providers, channel.provider_id, &ledger::Provider::id);
    if (provider != snapshot.providers.end()) channel_providers_[channel.id] = provider->name;
  }
}

Result<> Publisher::publish_catalog() {
  const auto snapshot = ledger_.catalog().snapshot();
  if (!snapshot) return std::unexpected(snapshot.error());
  keep_names(*snapshot);
  if (auto done = catalog_.publish(*snapshot); !done) return done;
  addresses_.set_hosts(catalog_.hosts());
  return addresses_.step();
}

Result<bool> Publisher::step() {
  if (auto stepped = addresses_.step(); !stepped) return std::unexpected(stepped.error());
  if (!working_) {
    if (auto found = find_work(); !found) return found;
  }
  const auto credits = publish_credits();
  if (!credits) return credits;
  if (!working_) return *credits;
  const auto more = advance();
  if (!more) return more;
  return *more || *credits;
}

Result<bool> Publisher::find_work() {
  const auto newest = ledger_.catalog().newest();
  if (!newest) return std::unexpected(newest.error());
  const bool due = catalog_.due();
  if (*newest <= published_ && !due && told_) return false;
  work_ = {};
  if (*newest > published_) {
    if (auto read = ledger_.read([&] { return read_changes(work_); }); !read)
      return std::unexpected(read.error());
  } else {
    work_.generation = published_;
  }
  work_.catalog = work_.catalog || due;
  working_ = true;
  return true;
}

Result<> Publisher::read_changes(Work& work) {
  const auto newest = ledger_.catalog().newest();
  const auto catalog = ledger_.catalog().generation(ledger::Topic::catalog);
  const auto wallets = ledger_.customers().wallets_changed_after(published_);
  const auto keys = ledger_.keys().changed_after(published_);
  const auto texts = ledger_.catalog().texts();
  for (const Error& error : {newest ? Error{} : newest.error(), catalog ? Error{} : catalog.error(),
                             wallets ? Error{} : wallets.error(), keys ? Error{} : keys.error(),
                             texts ? Error{} : texts.error()}) {
    if (error.code != Errc::none) return std::unexpected(error);
  }
  work.generation = *newest;
  work.catalog = *catalog > published_;
  const TextNumbers numbers(*texts);
  for (const ledger::Wallet& wallet : *wallets) work.wallets.push_back(to_publish(wallet, numbers));
  std::map<ledger::Id, ledger::Wallet> owners;
  for (const ledger::Wallet& wallet : *wallets) owners.emplace(wallet.id, wallet);
  for (const ledger::ApiKey& key : *keys) {
    auto owner = owners.find(key.wallet_id);
    if (owner == owners.end()) {
      auto wallet = ledger_.customers().wallet(key.wallet_id);
      if (!wallet) return std::unexpected(wallet.error());
      owner = owners.emplace(key.wallet_id, std::move(*wallet)).first;
    }
    if (auto row = to_publish(key, owner->second, numbers)) {
      work.keys.push_back(*row);
      const auto former = ledger_.keys().former_of(key.id);
      if (!former) return std::unexpected(former.error());
      for (const ledger::FormerSecret& secret : *former) {
        if (auto also = to_publish(secret, *row, clock_.realtime_ns())) work.keys.push_back(*also);
      }
    } else {
      log_line(LogLevel::error, "reconcile",
               "key " + std::to_string(key.id) + " of the ledger is unusable: left out");
    }
  }
  return {};
}

Result<bool> Publisher::advance() {
  if (work_.catalog) {
    work_.catalog = false;
    const auto done = publish_catalog();
    // A catalog that cannot be built stays as it was (it was logged); keys and wallets go on.
    if (!done && done.error().code != Errc::bad_value && done.error().code != Errc::too_large) {
      work_.catalog = true;
      return std::unexpected(done.error());
    }
    return true;
  }
  if (work_.wallets_done < work_.wallets.size()) return write_wallets();
  if (work_.keys_done < work_.keys.size()) return write_keys();
  return confirm();
}

Result<bool> Publisher::write_wallets() {
  const std::span<const state::WalletPublish> rest =
      std::span(work_.wallets).subspan(work_.wallets_done);
  const auto done =
      writer_.publish_wallets(rest.first(std::min(rest.size(), state::kMaxRowsPerTxn)));
  work_.wallets_done += done.committed;
  if (done.error.code != Errc::none) return std::unexpected(done.error);
  return true;
}

Result<bool> Publisher::write_keys() {
  const std::span<const state::KeyPublish> rest = std::span(work_.keys).subspan(work_.keys_done);
  const auto done = writer_.publish_keys(rest.first(std::min(rest.size(), state::kMaxRowsPerTxn)));
  work_.keys_done += done.committed;
  if (done.error.code != Errc::none) return std::unexpected(done.error);
  return true;
}

bool Publisher::shards_are_current() const {
  const TimeNs now_ns = clock_.monotonic_ns();
  for (const state::ShardBlock& shard : environment_.boards().shards()) {
    const bool serving = shard.state.load(std::memory_order_relaxed) ==
                         static_cast<std::uint32_t>(state::ShardState::serving);
    const bool fresh =
        now_ns - shard.heartbeat_ns.load(std::memory_order_relaxed) <= state::kHeartbeatStaleNs;
    if (serving && fresh &&
        shard.catalog_generation.load(std::memory_order_relaxed) < catalog_.generation()) {
      return false;
    }
  }
  return true;
}

/// True while there is something to do at once; false while it waits, and at the end.
Result<bool> Publisher::confirm() {
  const TimeNs now_ns = clock_.monotonic_ns();
  if (work_.written_at_ns == 0) work_.written_at_ns = now_ns;
  const TimeNs waited_ns = now_ns - work_.written_at_ns;
  if (addresses_.waiting() && waited_ns < kLookupPatienceNs) return false;
  if (!shards_are_current() && waited_ns < kShardsLookNs) return false;
  const auto generation = static_cast<std::uint64_t>(work_.generation);
  if (auto set = writer_.set_published(generation); !set) return std::unexpected(set.error());
  if (auto set = ledger_.catalog().set_published(node_, work_.generation); !set)
    return std::unexpected(set.error());
  published_ = work_.generation;
  told_ = true;
  working_ = false;
  work_ = {};
  return false;
}

Result<bool> Publisher::forget_former_secrets() {
  const auto expired = ledger_.keys().former_expired(
      clock_.realtime_ns(), static_cast<std::int64_t>(state::kMaxRowsPerTxn));
  if (!expired) return std::unexpected(expired.error());
  if (expired->empty()) return false;
  std::vector<state::KeyPublish> rows;
  for (const ledger::FormerSecret& secret : *expired) {
    if (auto row = to_publish(secret, {}, clock_.realtime_ns())) rows.push_back(*row);
  }
  if (const auto done = writer_.publish_keys(rows); done.error.code != Errc::none)
    return std::unexpected(done.error);
  if (auto gone = ledger_.keys().forget_former(*expired); !gone)
    return std::unexpected(gone.error());
  return expired->size() == state::kMaxRowsPerTxn;
}

// ---- row 10

Result<> Publisher::remember(const std::vector<ledger::Delta>& deltas, std::size_t count) {
  if (count == 0) return {};
  return ledger_.write([&]() -> Result<> {
    for (std::size_t i = 0; i < count; ++i) {
      // The queue is ordered by wallet and number: the last of each wallet says it for all before
      // it.
      if (i + 1 < count && deltas[i + 1].wallet_id == deltas[i].wallet_id) continue;
      if (auto done = ledger_.money().published(deltas[i].wallet_id, deltas[i].wallet_no); !done)
        return done;
    }
    return {};
  });
}

Result<bool> Publisher::publish_credits() {
  const auto deltas = ledger_.money().queued(kDeltasAtOnce);
  if (!deltas) return std::unexpected(deltas.error());
  if (deltas->empty()) return false;
  std::vector<state::DeltaVerb> verbs;
  verbs.reserve(deltas->size());
  for (const ledger::Delta& delta : *deltas) {
    verbs.push_back({static_cast<std::uint64_t>(delta.wallet_id),
                     static_cast<std::uint64_t>(delta.wallet_no), delta.amount});
  }
  std::size_t done = 0;
  while (done < verbs.size()) {
    const auto published = writer_.publish_deltas(std::span(verbs).subspan(done));
    if (auto kept = remember({deltas->begin() + static_cast<std::ptrdiff_t>(done), deltas->end()},
                             published.committed);
        !kept) {
      return std::unexpected(kept.error());
    }
    done += published.committed;
    if (published.error.code == Errc::none) break;
    const ledger::Delta& stopped = (*deltas)[done];
    if (published.error.code == Errc::conflict) {
      const auto caught_up = catch_up(stopped);
      if (!caught_up) return std::unexpected(caught_up.error());
      if (*caught_up) continue;
    } else if (published.error.code != Errc::not_found) {
      return std::unexpected(published.error);
    }
    // A wallet that was made a moment ago comes with the next round of wallets; its credits wait.
    while (done < verbs.size() && (*deltas)[done].wallet_id == stopped.wallet_id) ++done;
  }
  return deltas->size() == static_cast<std::size_t>(kDeltasAtOnce) && done > 0;
}

/// The queue lacks numbers before `ahead` (its rows were lost with an epoch that was never
/// completed): the entries have them. False when they do not: the wallet's credits wait.
Result<bool> Publisher::catch_up(const ledger::Delta& ahead) {
  if (stuck_wallets_.contains(ahead.wallet_id)) return false;
  const auto wallet = environment_.find_wallet(static_cast<std::uint64_t>(ahead.wallet_id));
  if (!wallet) return std::unexpected(wallet.error());
  const auto history = ledger_.money().history(ahead.wallet_id, kHistory);
  if (!history) return std::unexpected(history.error());
  const auto applied = *wallet ? static_cast<std::int64_t>((*wallet)->applied_no) : 0;
  std::map<std::int64_t, Nanos> missing;
  for (const ledger::Entry& entry : *history) {
    if (entry.wallet_no <= applied || entry.wallet_no >= ahead.wallet_no) continue;
    missing[entry.wallet_no] =
        entry.kind == ledger::EntryKind::credit ? entry.amount : -entry.amount;
  }
  std::vector<state::DeltaVerb> verbs;
  for (const auto& [number, amount] : missing) {
    verbs.push_back(
        {static_cast<std::uint64_t>(ahead.wallet_id), static_cast<std::uint64_t>(number), amount});
  }
  const auto published = writer_.publish_deltas(verbs);
  const Errc stopped = published.error.code;
  if (stopped != Errc::none && stopped != Errc::conflict && stopped != Errc::not_found)
    return std::unexpected(published.error);  // it passes: no reason to give the wallet up
  const bool complete = published.error.code == Errc::none &&
                        static_cast<std::int64_t>(verbs.size()) == ahead.wallet_no - applied - 1;
  const std::string name = "wallet " + std::to_string(ahead.wallet_id);
  if (complete) {
    log_line(LogLevel::warning, "reconcile",
             name + ": " + std::to_string(verbs.size()) +
                 " changes were not in the publish queue; taken from the entries");
    return true;
  }
  stuck_wallets_.insert(ahead.wallet_id);
  log_line(LogLevel::error, "reconcile",
           "ALARM " + name + ": change " + std::to_string(applied + 1) +
               " of its balance is lost; its credits wait for a new epoch");
  return false;
}

}  // namespace sluice::reconcile
