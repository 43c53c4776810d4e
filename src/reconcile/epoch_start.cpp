#include "epoch_start.hpp"

#include <algorithm>
#include <map>

#include "audit.hpp"
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

/// No damage: another try may find all as it was.
bool passes(const Error& error) {
  return error.code == Errc::io || error.code == Errc::unavailable;
}

}  // namespace

EpochStart::EpochStart(const Options& options, const Clock& clock, ledger::Ledger& ledger,
                       const state::EnvironmentLock& lock)
    : options_(options),
      clock_(clock),
      ledger_(ledger),
      lock_(lock),
      boot_id_file_(options.boot_id_file.empty() ? state::kBootIdFile : options.boot_id_file) {}

Result<bool> EpochStart::is_newest(const state::MetaRecord& meta) {
  const auto newest = ledger_.epochs().newest(options_.node);
  if (!newest && newest.error().code == Errc::not_found) return false;
  if (!newest) return std::unexpected(newest.error());
  return meta.node == options_.node && newest->epoch == meta.epoch && newest->closed_ns == 0 &&
         (newest->uuid.empty() || newest->uuid == hex(meta.uuid));
}

/// Tells the ledger which environment its newest epoch is. Again after a death between its
/// completion and this: shards may be at work in it by now.
Result<> EpochStart::name_epoch(const state::MetaRecord& meta, std::string& message) {
  const auto named = ledger_.epochs().set_uuid(options_.node, meta.epoch, hex(meta.uuid));
  if (!named) message = ledger_line(ledger_, "cannot name an epoch");
  return named;
}

/// Fills `check_`. What shards are at work in can be read, or they could not; else a child process
/// tries first.
Result<> EpochStart::look_at_present(bool attach, std::string& message) {
  const auto probed = attach ? Result<>() : state::probe(options_.state_directory);
  if (!probed && passes(probed.error())) {
    message = "cannot look through the environment in " + options_.state_directory;
    return probed;
  }
  if (!probed) {
    damaged_ = true;
    origin_ = Origin::salvaged;
    check_.meta.epoch = state::current_epoch(options_.state_directory);
    check_.detail = "the environment cannot be read";
    say(LogLevel::error, "ALARM " + check_.detail + ": it is replaced and kept for inspection");
    return {};
  }
  check_ = state::check_warm(options_.state_directory, boot_id_file_);
  if (check_.error.code == Errc::none) return {};
  message = check_.detail;
  return std::unexpected(check_.error);
}

Result<Started> EpochStart::run(std::string& message) {
  // From here to the end no shard can begin: what it did in an environment that is being drained
  // and replaced would be lost.
  auto slots = state::AllSlots::acquire(options_.state_directory);
  if (!slots && slots.error().code != Errc::conflict) {
    message = "cannot lock " + options_.state_directory + "/slots.lock";
    return std::unexpected(slots.error());
  }
  if (auto looked = look_at_present(!slots, message); !looked)
    return std::unexpected(looked.error());
  if (!slots) return attach(message);
  slots_ = &*slots;
  auto started = check_and_serve(message);
  slots_ = nullptr;
  return started;
}

Result<Started> EpochStart::check_and_serve(std::string& message) {
  const bool readable = check_.exists && check_.same_schema && check_.same_boot;
  const auto newest = readable ? is_newest(check_.meta) : Result<bool>(false);
  if (!newest) {
    message = ledger_line(ledger_, "cannot read its epochs");
    return std::unexpected(newest.error());
  }
  if (*newest) {
    auto warm = try_warm(message);
    if (!warm) return std::unexpected(warm.error());
    if (*warm) return Started{std::move(*warm), Origin::warm};
  } else if (readable) {
    if (auto drained = drain_superseded(message); !drained) return std::unexpected(drained.error());
  } else {
    if (!check_.detail.empty()) say(LogLevel::info, "new epoch: " + check_.detail);
    if (auto noted = note_loss(); !noted) {
      message = ledger_line(ledger_, "cannot read how far it is");
      return std::unexpected(noted.error());
    }
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
  const auto newest = is_newest(check_.meta);
  if (!newest) {
    message = ledger_line(ledger_, "cannot read its epochs");
    return std::unexpected(newest.error());
  }
  if (!*newest) {
    // Its usage still counts and is drained; but its balances are of a snapshot that the ledger has
    // closed.
    say(LogLevel::error, "ALARM shards serve epoch " + std::to_string(check_.meta.epoch) +
                             ", which is not the ledger's newest" + hint);
  } else if (auto named = name_epoch(check_.meta, message); !named) {
    return std::unexpected(named.error());
  }
  return Started{std::move(*environment), Origin::attached};
}

/// The environment is gone: what was in it and not in the ledger is lost.
Result<> EpochStart::note_loss() {
  const auto newest = ledger_.epochs().newest(options_.node);
  if (!newest && newest.error().code == Errc::not_found) return {};
  if (!newest) return std::unexpected(newest.error());
  // Left in order: nothing was undrained. Without a name: never completed, nobody was served.
  if (newest->closed_ns != 0 || newest->clean || newest->uuid.empty()) return {};
  return add_lost_gaps(newest->epoch, "the environment was lost");
}

/// An outbox that cannot be read: each slot from its cursor on. One that the ledger never heard of
/// has no cursor, and may have had rows all the same.
Result<> EpochStart::add_lost_gaps(std::uint64_t epoch, const std::string& reason) {
  const auto cursors = ledger_.usage().cursors(options_.node, epoch);
  if (!cursors) return std::unexpected(cursors.error());
  std::map<std::uint32_t, std::uint64_t> drained;
  for (std::uint32_t slot = 0; slot < std::max(options_.slots, check_.meta.slots); ++slot)
    drained[slot] = 0;
  for (const ledger::Cursor& cursor : *cursors) drained[cursor.slot] = cursor.seq;
  for (const auto& [slot, seq] : drained)
    gaps_.push_back({options_.node, epoch, slot, seq + 1, 0, reason, 0});
  return {};
}

/// Reaps, drains and trims. Fails when a later start may do better; what is damaged is named in
/// `why`.
Result<> EpochStart::reap_and_drain(Drain& drain, SlotKeeper& slots, std::string& why) {
  const auto reaped = slots.reap_all(*slots_);
  if (!reaped && passes(reaped.error())) return reaped;
  if (auto drained = drain.drain_good_rows(); !drained) return drained;
  const auto trimmed = drain.trim();
  if (!trimmed && passes(trimmed.error())) return trimmed;
  if (!trimmed) why = "drained rows cannot be deleted";
  if (!reaped) why = "holds of dead shards cannot be closed";
  return {};
}

// Row 15: reap, drain, audit. What fails makes it row 17.
Result<> EpochStart::close_old(state::Environment& old, std::string& why) {
  Drain drain(old, ledger_, clock_, {});
  SlotKeeper slots(old, clock_, options_.state_directory);
  if (auto loaded = drain.load_cursors(); !loaded) {
    if (loaded.error().code != Errc::corrupt) return loaded;
    why = "the ledger is ahead of it";
    return add_lost_gaps(check_.meta.epoch, why);
  }
  if (auto done = reap_and_drain(drain, slots, why); !done) return done;
  // In a full map there is room for ends where drained rows were.
  if (!why.empty()) {
    why.clear();
    if (auto done = reap_and_drain(drain, slots, why); !done) return done;
  }
  if (drain.broken() && why.empty()) why = drain.trouble();
  std::string message;
  if (auto audited = audit(old, message); !audited) {
    if (passes(audited.error())) return audited;
    if (why.empty()) why = message;
  }
  if (!why.empty()) gaps_ = drain.gaps(options_.node);
  return {};
}

/// An environment that a start before this one was about to replace, and did not get to: shards may
/// have served from it since. Its usage counts, its balances do not.
Result<> EpochStart::drain_superseded(std::string& message) {
  say(LogLevel::warning, "epoch " + std::to_string(check_.meta.epoch) +
                             " is not the ledger's newest: drained and replaced");
  auto old = state::open({.directory = options_.state_directory}, message);
  if (!old) return std::unexpected(old.error());
  std::string why;
  if (auto closed = close_old(**old, why); !closed) {
    message = ledger_line(ledger_, "cannot drain the environment");
    return closed;
  }
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
  if (auto named = name_epoch(check_.meta, message); !named) return std::unexpected(named.error());
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
    if ((!check_.exists && !damaged_) || snapshot->epoch.epoch > check_.meta.epoch) return snapshot;
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
  build.slots_held = slots_;
  build.previous_is_damaged = damaged_;
  if (auto built = state::build_epoch(build, lock_, rows.wallets, rows.keys, system_rng(), message);
      !built) {
    return std::unexpected(built.error());
  }
  auto environment = state::open({.directory = options_.state_directory}, message);
  if (!environment) return std::unexpected(environment.error());
  // From here on the environment is the ledger's newest; a crash before it costs one more number.
  if (auto named = name_epoch((*environment)->meta(), message); !named)
    return std::unexpected(named.error());
  const std::uint64_t keep = origin_ == Origin::salvaged ? check_.meta.epoch : 0;
  if (!state::remove_old_epochs(options_.state_directory, lock_, keep)) {
    say(LogLevel::warning, "old epochs in " + options_.state_directory + " cannot be removed");
  }
  return Started{std::move(*environment), origin_};
}

}  // namespace sluice::reconcile
