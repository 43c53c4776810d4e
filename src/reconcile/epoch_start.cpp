#include "epoch_start.hpp"

#include <algorithm>
#include <map>

#include "audit.hpp"
#include "catalog_publisher.hpp"
#include "drain.hpp"
#include "policies.hpp"
#include "slot_keeper.hpp"
#include "sluice/base/log.hpp"
#include "usage_rows.hpp"

namespace sluice::reconcile {
namespace {

std::string ledger_line(ledger::Ledger& ledger, std::string_view what) {
  return "ledger: " + std::string(what) + ": " + ledger.last_error();
}

void say(LogLevel level, const std::string& text) { log_line(level, "reconcile", text); }

}  // namespace

EpochStart::EpochStart(const Options& options, const Clock& clock, ledger::Ledger& ledger,
                       const state::EnvironmentLock& lock)
    : options_(options),
      clock_(clock),
      ledger_(ledger),
      lock_(lock),
      boot_id_file_(options.boot_id_file.empty() ? state::kBootIdFile : options.boot_id_file) {}

bool EpochStart::is_newest(const state::MetaRecord& meta) {
  const auto newest = ledger_.epochs().newest(options_.node);
  return newest && meta.node == options_.node && newest->epoch == meta.epoch &&
         newest->closed_ns == 0 && newest->uuid == hex(meta.uuid);
}

Result<Started> EpochStart::run(std::string& message) {
  check_ = state::check_warm(options_.state_directory, boot_id_file_);
  if (check_.slot_locked) return attach(message);
  if (check_.exists && check_.same_schema && check_.same_boot && is_newest(check_.meta)) {
    auto warm = try_warm(message);
    if (!warm) return std::unexpected(warm.error());
    if (*warm) return Started{std::move(*warm), Origin::warm};
  } else {
    if (!check_.detail.empty()) say(LogLevel::info, "new epoch: " + check_.detail);
    add_lost_gaps(check_.exists && check_.same_boot ? "the environment was not the ledger's newest"
                                                    : "the environment was lost");
  }
  return rebuild(message);
}

// Row 14: a live generation. Nothing is checked: its owners are at work in it.
Result<Started> EpochStart::attach(std::string& message) {
  const std::string hint = ": stop the edge, then start again";
  if (!check_.exists || !check_.same_schema || !check_.same_boot) {
    message = "shards hold slots in " + options_.state_directory + ", but " + check_.detail + hint;
    return fail(Errc::conflict);
  }
  auto environment = state::open({.directory = options_.state_directory}, message);
  if (!environment) return std::unexpected(environment.error());
  if (!is_newest(check_.meta)) {
    // Its usage still counts and is drained; but its balances are of a snapshot that the ledger has
    // closed.
    say(LogLevel::error, "ALARM shards serve epoch " + std::to_string(check_.meta.epoch) +
                             ", which is not the ledger's newest" + hint);
  }
  return Started{std::move(*environment), Origin::attached};
}

/// What ended without its outbox being readable: each slot from its cursor on. One that the ledger
/// never heard of has no cursor, and may have had rows all the same.
void EpochStart::add_lost_gaps(const std::string& reason) {
  const auto newest = ledger_.epochs().newest(options_.node);
  // Left in order: nothing was undrained.
  if (!newest || newest->closed_ns != 0 || newest->clean) return;
  const auto cursors = ledger_.usage().cursors(options_.node, newest->epoch);
  if (!cursors) return;
  std::map<std::uint32_t, std::uint64_t> drained;
  for (std::uint32_t slot = 0; slot < std::max(options_.slots, check_.meta.slots); ++slot)
    drained[slot] = 0;
  for (const ledger::Cursor& cursor : *cursors) drained[cursor.slot] = cursor.seq;
  for (const auto& [slot, seq] : drained)
    gaps_.push_back({options_.node, newest->epoch, slot, seq + 1, 0, reason, 0});
}

// Row 15: reap, drain, audit. What fails makes it row 17.
Result<> EpochStart::close_old(state::Environment& old, std::string& why) {
  Drain drain(old, ledger_, clock_, {});
  CatalogPublisher catalog(old, clock_, options_.zone_directory, 0);
  SlotKeeper slots(old, clock_, options_.state_directory);
  const auto reaped = slots.reap_free(catalog.prices());
  if (!reaped) why = "holds of dead shards cannot be closed";
  if (auto loaded = drain.load_cursors(); !loaded) {
    if (loaded.error().code != Errc::corrupt) return loaded;
    why = "the ledger is ahead of it";
    add_lost_gaps(why);
    return {};
  }
  if (auto drained = drain.drain_good_rows(); !drained) return drained;
  if (auto trimmed = drain.trim(); !trimmed && why.empty()) why = "drained rows cannot be deleted";
  if (drain.broken() && why.empty()) why = drain.trouble();
  std::string message;
  if (auto audited = audit(old, message); !audited && why.empty()) why = message;
  if (!why.empty()) gaps_ = drain.gaps(options_.node);
  return {};
}

Result<std::unique_ptr<state::Environment>> EpochStart::try_warm(std::string& message) {
  auto environment = state::open({.directory = options_.state_directory}, message);
  if (!environment) return std::unexpected(environment.error());
  std::string why;
  if (auto closed = close_old(**environment, why); !closed) {
    message = ledger_line(ledger_, "cannot drain the environment");
    return std::unexpected(closed.error());
  }
  if (!why.empty()) {
    origin_ = Origin::salvaged;
    say(LogLevel::error, "ALARM epoch " + std::to_string(check_.meta.epoch) + " is closed with " +
                             std::to_string(gaps_.size()) +
                             " gaps and kept for inspection: " + why);
    return nullptr;
  }
  if (check_.meta.slots < options_.slots || check_.meta.map_bytes != options_.map_bytes) {
    say(LogLevel::info,
        "new epoch: the configuration asks for another number of slots or size of map");
    return nullptr;
  }
  return std::move(*environment);
}

Result<ledger::EpochSnapshot> EpochStart::next_epoch(std::string& message) {
  // A ledger that was restored from a backup may hand out a number that the directory on this
  // machine still has.
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    auto snapshot = ledger_.epochs().open_next(options_.node, gaps_);
    if (!snapshot) {
      message = ledger_line(ledger_, "cannot open an epoch");
      return snapshot;
    }
    gaps_.clear();
    if (!check_.exists || snapshot->epoch.epoch > check_.meta.epoch) return snapshot;
  }
  message = "the ledger's epochs are far behind those of " + options_.state_directory;
  return fail(Errc::conflict);
}

// Row 16.
Result<Started> EpochStart::rebuild(std::string& message) {
  const auto snapshot = next_epoch(message);
  if (!snapshot) return std::unexpected(snapshot.error());
  const auto texts = ledger_.catalog().texts();
  if (!texts) {
    message = ledger_line(ledger_, "cannot read the catalog");
    return std::unexpected(texts.error());
  }
  ZoneTable zones(options_.zone_directory);
  const StateSnapshot rows =
      to_snapshot(*snapshot, TextNumbers(*texts), zones, clock_.realtime_ns());
  state::BuildOptions build;
  build.directory = options_.state_directory;
  build.map_bytes = options_.map_bytes;
  build.node = options_.node;
  build.epoch = snapshot->epoch.epoch;
  build.slots = options_.slots;
  build.meter_entries = options_.meter_entries;
  build.published_generation = static_cast<std::uint64_t>(snapshot->generation);
  build.realtime_ns = clock_.realtime_ns();
  build.boot_id_file = boot_id_file_;
  if (auto built = state::build_epoch(build, lock_, rows.wallets, rows.keys, system_rng(), message);
      !built) {
    return std::unexpected(built.error());
  }
  auto environment = state::open({.directory = options_.state_directory}, message);
  if (!environment) return std::unexpected(environment.error());
  // From here on the environment is the ledger's newest; a crash before it costs one more number.
  const std::string uuid = hex((*environment)->meta().uuid);
  if (auto named = ledger_.epochs().set_uuid(options_.node, build.epoch, uuid); !named) {
    message = ledger_line(ledger_, "cannot name an epoch");
    return std::unexpected(named.error());
  }
  const std::uint64_t keep = origin_ == Origin::salvaged ? check_.meta.epoch : 0;
  if (!state::remove_old_epochs(options_.state_directory, lock_, keep)) {
    say(LogLevel::warning, "old epochs in " + options_.state_directory + " cannot be removed");
  }
  return Started{std::move(*environment), origin_};
}

}  // namespace sluice::reconcile
