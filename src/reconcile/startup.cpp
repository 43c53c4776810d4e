#include "startup.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "convert.hpp"
#include "drainer.hpp"
#include "price_book.hpp"
#include "sluice/base/log.hpp"
#include "snapshot.hpp"

namespace sluice::reconcile {
namespace {

/// What the ledger knows of the environment that was found.
enum class Match : std::uint8_t { newest, older, unknown };

Match match_of(const state::MetaRecord& meta, const Result<ledger::Epoch>& newest, std::uint32_t node) {
  if (!newest || meta.node != node || meta.epoch > newest->epoch) return Match::unknown;
  if (meta.epoch < newest->epoch) return Match::older;
  // The number is handed out before the environment is built and its uuid noted after: empty = died in between.
  return newest->uuid.empty() || newest->uuid == to_hex(meta.uuid) ? Match::newest : Match::unknown;
}

/// Row 15: "time travel" is a ledger that has more of a slot than the environment ever wrote.
bool cursors_fit(ledger::Ledger& ledger, state::Environment& environment, std::uint32_t node) {
  const auto cursors = ledger.usage().cursors(node, environment.epoch());
  if (!cursors) return false;
  for (const ledger::Cursor& cursor : *cursors) {
    const auto slot = environment.find_slot(cursor.slot);
    if (!slot || slot->outbox_seq < cursor.seq) return false;
  }
  return true;
}

/// I1 of every wallet and held = Σ open holds. One line about the first that fails.
std::string audit(state::Environment& environment) {
  state::StateCopy copy;
  if (!state::copy_state(environment, state::kCopyWallets | state::kCopyHolds, copy)) return "cannot be copied";
  if (!copy.corrupt.empty()) {
    return "row " + std::to_string(copy.corrupt.front().ordinal) + " of table " +
           state::table_name(copy.corrupt.front().table) + " is damaged";
  }
  std::map<state::WalletId, Nanos> held;
  for (const state::HoldRow& hold : copy.holds) {
    if (hold.record.state == state::HoldState::open) held[hold.record.wallet_id] += hold.record.amount;
  }
  for (const state::WalletRecord& wallet : copy.wallets) {
    if (!state::identity_holds(wallet) || held[wallet.wallet_id] != wallet.held) {
      return "wallet " + std::to_string(wallet.wallet_id) + " does not add up";
    }
  }
  return {};
}

class Starter {
 public:
  Starter(const StartOptions& options, ledger::Ledger* ledger, const state::EnvironmentLock& lock, const Clock& clock,
          Rng& rng, std::string& message)
      : options_(options), ledger_(ledger), lock_(lock), clock_(clock), rng_(rng), message_(message) {}

  Result<Started> run() {
    const state::WarmCheck found = state::check_warm(options_.state_directory, options_.boot_id_file);
    const bool usable = found.exists && found.same_schema && found.same_boot;
    if (ledger_ == nullptr) return without_ledger(found, usable);
    const auto newest = ledger_->epochs().newest(options_.node);
    if (!newest && newest.error().code != Errc::not_found) return refuse(newest.error(), "the ledger cannot be read");
    const Match match = usable ? match_of(found.meta, newest, options_.node) : Match::unknown;
    if (found.slot_locked) {
      // Row 14: shards of a live generation hold slots. Go on with their environment or not at all.
      if (usable && match == Match::newest) return attach();
      return refuse({Errc::conflict}, "shards still hold slots of an environment that cannot be used: stop the edge first");
    }
    std::string reason = usable ? "" : found.detail;
    if (usable && match == Match::newest) {
      auto warm = warm_start(reason);
      if (warm) return warm;
    } else if (usable) {
      reason = match == Match::older ? "the ledger has a newer epoch" : "the ledger does not know this environment";
      if (match == Match::older) static_cast<void>(salvage(reason));
    }
    return rebuild(newest, reason, usable && match != Match::unknown);
  }

 private:
  Result<Started> refuse(Error error, std::string text) {
    message_ = std::move(text);
    return std::unexpected(error);
  }

  Result<std::unique_ptr<state::Environment>> open() {
    state::OpenOptions options;
    options.directory = options_.state_directory;
    return state::open(options, message_);
  }

  Result<Started> without_ledger(const state::WarmCheck& found, bool usable) {
    if (!usable) return refuse({Errc::unavailable}, "the ledger is away and there is no environment to go on with");
    auto environment = open();
    if (!environment) return std::unexpected(environment.error());
    return Started{std::move(*environment), found.slot_locked ? StartKind::attached : StartKind::warm, {}};
  }

  Result<Started> attach() {
    auto environment = open();
    if (!environment) return std::unexpected(environment.error());
    if (auto noted = note_uuid(**environment); !noted) return refuse(noted.error(), "the ledger cannot be written");
    return Started{std::move(*environment), StartKind::attached, {}};
  }

  Result<> note_uuid(state::Environment& environment) {
    if (auto set = ledger_->epochs().set_clean(options_.node, environment.epoch(), false); !set) return set;
    return ledger_->epochs().set_uuid(options_.node, environment.epoch(), to_hex(environment.meta().uuid));
  }

  /// Row 5 for all slots. Nobody holds one, and no edge starts before `ready`.
  Result<> reap_all(state::Environment& environment) {
    const auto prices = ledger_->catalog().prices(0);
    const auto models = ledger_->catalog().models();
    if (!prices || !models) return fail(Errc::unavailable);
    const PriceBook book(*prices, *models);
    for (state::SlotId slot = 0; slot < environment.meta().slots; ++slot) {
      auto slot_lock = state::SlotLock::acquire(options_.state_directory, slot);
      if (!slot_lock) return std::unexpected(slot_lock.error());
      const auto reaped = state::reap_slot(environment, *slot_lock, book.lookup());
      if (!reaped) return std::unexpected(reaped.error());
      if (reaped->settled + reaped->voided > 0) {
        log_line(LogLevel::warning, "reconcile",
                 "slot " + std::to_string(slot) + ": closed " + std::to_string(reaped->settled) + " holds with a charge and " +
                     std::to_string(reaped->voided) + " without for a shard that died");
      }
    }
    return {};
  }

  /// Rows 8 and 9 until nothing is left. False when a damaged or missing row is in the way.
  Result<bool> drain_all(state::Environment& environment, Drainer& drainer) {
    static_cast<void>(environment);
    for (;;) {
      const auto drained = drainer.run();
      if (!drained) return std::unexpected(drained.error());
      if (*drained == 0) return !drainer.has_corrupt_slot();
    }
  }

  // Row 15.
  Result<Started> warm_start(std::string& reason) {
    auto environment = open();
    if (!environment) return std::unexpected(environment.error());
    if (!cursors_fit(*ledger_, **environment, options_.node)) {
      reason = "the ledger is ahead of the environment, which must be a restored copy";
      return fail(Errc::conflict);
    }
    Drainer drainer(*ledger_, **environment, clock_, options_.node, [](const auto&) {});
    Result<> reaped = reap_all(**environment);
    const Result<bool> drained = reaped ? drain_all(**environment, drainer) : std::unexpected(reaped.error());
    const std::string wrong = drained && *drained ? audit(**environment) : "a row could not be drained";
    if (!wrong.empty()) {
      reason = wrong;
      keep_epoch_ = (*environment)->epoch();
      note_gaps(**environment, drainer);
      return fail(Errc::corrupt);
    }
    if (auto noted = note_uuid(**environment); !noted) return std::unexpected(noted.error());
    return Started{std::move(*environment), StartKind::warm, {}};
  }

  // Row 17, for an epoch that cannot be gone on with: what is good in it reaches the ledger.
  Result<> salvage(const std::string& reason) {
    auto environment = open();
    if (!environment) return std::unexpected(environment.error());
    if (!cursors_fit(*ledger_, **environment, options_.node)) return fail(Errc::conflict);
    log_line(LogLevel::warning, "reconcile", "saving what is undrained of epoch " + std::to_string((*environment)->epoch()) + ": " + reason);
    Drainer drainer(*ledger_, **environment, clock_, options_.node, [](const auto&) {});
    if (auto reaped = reap_all(**environment); !reaped) return reaped;
    if (auto drained = drain_all(**environment, drainer); !drained) return std::unexpected(drained.error());
    note_gaps(**environment, drainer);
    return {};
  }

  /// Rows that stay behind: from the first that could not be drained to the slot's last.
  void note_gaps(state::Environment& environment, const Drainer& drainer) {
    for (const auto& [slot, from] : drainer.stopped()) {
      const auto record = environment.find_slot(slot);
      ledger::Gap gap;
      gap.node = options_.node;
      gap.epoch = environment.epoch();
      gap.slot = slot;
      gap.from_seq = from;
      gap.until_seq = record ? record->outbox_seq + 1 : 0;
      gap.reason = "damaged rows";
      gaps_.push_back(gap);
    }
  }

  /// An epoch that was not left in order and is gone: how much of it was undrained nobody knows.
  void note_lost_epoch(const ledger::Epoch& epoch, const std::string& reason) {
    const auto cursors = ledger_->usage().cursors(epoch.node, epoch.epoch);
    ledger::Gap gap;
    gap.node = epoch.node;
    gap.epoch = epoch.epoch;
    gap.reason = reason;
    if (cursors) {
      for (const ledger::Cursor& cursor : *cursors) {
        gap.slot = cursor.slot;
        gap.from_seq = cursor.seq + 1;
        gaps_.push_back(gap);
      }
    }
  }

  // Row 16.
  Result<Started> rebuild(const Result<ledger::Epoch>& newest, const std::string& reason, bool saved) {
    if (newest && !newest->clean && !newest->uuid.empty() && !saved) note_lost_epoch(*newest, reason);
    for (const ledger::Gap& gap : gaps_) {
      log_line(LogLevel::error, "reconcile",
               "gap: epoch " + std::to_string(gap.epoch) + " slot " + std::to_string(gap.slot) + " from row " +
                   std::to_string(gap.from_seq) + ": " + gap.reason);
    }
    ledger::EpochSnapshot snapshot;
    std::vector<ledger::NumberedText> texts;
    const auto taken = ledger_->write([&]() -> Result<> {
      auto opened = ledger_->epochs().open_next(options_.node, gaps_);
      if (!opened) return std::unexpected(opened.error());
      snapshot = std::move(*opened);
      auto numbered = ledger_->catalog().texts();
      if (!numbered) return std::unexpected(numbered.error());
      texts = std::move(*numbered);
      return {};
    });
    if (!taken) return refuse(taken.error(), "the ledger: " + ledger_->last_error());
    const auto rows = to_state(snapshot, texts, clock_.realtime_ns(), message_);
    if (!rows) return std::unexpected(rows.error());
    state::BuildOptions options;
    options.directory = options_.state_directory;
    options.map_bytes = options_.map_bytes;
    options.node = options_.node;
    options.epoch = snapshot.epoch.epoch;
    options.slots = options_.slots;
    options.published_generation = static_cast<std::uint64_t>(snapshot.generation);
    options.realtime_ns = clock_.realtime_ns();
    options.boot_id_file = options_.boot_id_file;
    if (auto built = state::build_epoch(options, lock_, rows->wallets, rows->keys, rng_, message_); !built) {
      return std::unexpected(built.error());
    }
    auto environment = open();
    if (!environment) return std::unexpected(environment.error());
    if (auto noted = note_uuid(**environment); !noted) return refuse(noted.error(), "the ledger: " + ledger_->last_error());
    static_cast<void>(state::remove_old_epochs(options_.state_directory, lock_, keep_epoch_));
    return Started{std::move(*environment), StartKind::rebuilt, reason};
  }

  const StartOptions& options_;
  ledger::Ledger* ledger_;
  const state::EnvironmentLock& lock_;
  const Clock& clock_;
  Rng& rng_;
  std::string& message_;
  std::vector<ledger::Gap> gaps_;
  std::uint64_t keep_epoch_ = 0;
};

}  // namespace

Result<Started> start_environment(const StartOptions& options, ledger::Ledger* ledger,
                                  const state::EnvironmentLock& lock, const Clock& clock, Rng& rng,
                                  std::string& message) {
  return Starter(options, ledger, lock, clock, rng, message).run();
}

}  // namespace sluice::reconcile
