// sluice check: the independent auditor. It copies the shared state first (one short read
// transaction), then reads the ledger up to the heads that it copied. It knows records, never the
// code that moves money.
#include <fmt/format.h>

#include <map>
#include <set>

#include "audit_price.hpp"
#include "sluice/base/text_units.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/inspect.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

constexpr TimeNs kCopyMost = 500 * kMillisecond;

struct Finding {
  std::string invariant;
  std::string what;
  std::int64_t checked = 0;
  std::int64_t wrong = 0;
  std::string sums;
};

struct WalletSums {
  Nanos charged = 0;
  Nanos excess = 0;
};

/// One audit of one node.
class Audit {
 public:
  Audit(ledger::Ledger& ledger, std::uint32_t node) : ledger_(ledger), node_(node) {}

  /// Copies the shared state. Without one (stopped machine, other host) the ledger is audited
  /// alone.
  Outcome<> copy(const std::string& directory) {
    std::string message;
    auto environment = state::open({.directory = directory, .wait_ready_ns = 0}, message);
    if (!environment) {
      if (environment.error().code == Errc::not_found) return {};
      return problem(environment.error().code, "shared state: " + message);
    }
    const TimeNs begin_ns = system_clock().monotonic_ns();
    if (auto copied = state::copy_state(**environment, state::kCopyAll, state_); !copied) {
      return problem(copied.error().code, fmt::format("shared state: cannot be copied ({})",
                                                      to_string(copied.error().code)));
    }
    copy_ns_ = system_clock().monotonic_ns() - begin_ns;
    has_state_ = true;
    return {};
  }

  Outcome<> run() {
    auto done = ledger_.read([&]() -> Result<> {
      if (auto books = check_books(); !books) return books;
      if (!has_state_) return {};
      if (auto rows = read_rows(); !rows) return rows;
      check_wallets();
      check_holds();
      return check_credits();
    });
    if (!done) return problem(done.error().code, "ledger: " + ledger_.last_error());
    return {};
  }

  [[nodiscard]] const std::vector<Finding>& findings() const { return findings_; }
  [[nodiscard]] bool has_state() const { return has_state_; }
  [[nodiscard]] std::uint64_t epoch() const { return state_.meta.epoch; }
  [[nodiscard]] TimeNs copy_ns() const { return copy_ns_; }

 private:
  void found(std::string invariant, std::string what, std::int64_t checked, std::int64_t wrong,
             std::string sums) {
    findings_.push_back({std::move(invariant), std::move(what), checked, wrong, std::move(sums)});
  }

  // I7, I8: the books in themselves.
  Result<> check_books() {
    auto accounts = ledger_.sums().accounts();
    if (!accounts) return std::unexpected(accounts.error());
    Nanos debits = 0, credits = 0;
    std::int64_t wrong = 0;
    for (const ledger::AccountSums& account : *accounts) {
      debits += account.debits;
      credits += account.credits;
      wrong += account.debits != account.posted_debits || account.credits != account.posted_credits
                   ? 1
                   : 0;
    }
    const auto count = static_cast<std::int64_t>(accounts->size());
    found("I7", "debits equal credits", count, debits == credits ? 0 : 1,
          fmt::format("debits {} credits {}", format_usd(debits), format_usd(credits)));
    found("I8", "replaying the entries gives every account's totals", count, wrong, "");
    auto differ = ledger_.sums().batches_that_differ();
    if (!differ) return std::unexpected(differ.error());
    found("I8", "entries of each batch are the sums of its rows", 1, *differ, "");
    return {};
  }

  // I3, I4, I5, I9 over the rows; sums by wallet for I1.
  Result<> read_rows() {
    auto prices = ledger_.catalog().prices(0);
    if (!prices) return std::unexpected(prices.error());
    const AuditPrices audit_prices(*prices);
    auto removed = ledger_.sums().removed(node_, epoch());
    if (!removed) return std::unexpected(removed.error());
    for (const ledger::RemovedSum& sum : removed->sums) {
      charged_[sum.wallet_id].charged += sum.charged;
      charged_[sum.wallet_id].excess += sum.excess;
    }
    for (const state::SlotRecord& slot : state_.slots) heads_[slot.slot] = slot.outbox_seq;
    std::map<std::uint32_t, std::uint64_t> last;
    auto visited =
        ledger_.sums().each_usage(node_, epoch(), [&](const ledger::StoredUsage& stored) {
          const ledger::UsageRow& row = stored.row;
          if (row.seq > heads_[row.slot]) return;  // after the copy
          std::uint64_t& before = last[row.slot];
          if (before != 0 && row.seq != before + 1) ++gaps_;
          before = row.seq;
          ++rows_;
          take(row, audit_prices);
        });
    if (!visited) return visited;
    auto cursors = ledger_.usage().cursors(node_, epoch());
    if (!cursors) return std::unexpected(cursors.error());
    std::map<std::uint32_t, std::uint64_t> next;
    for (const ledger::Cursor& cursor : *cursors)
      next[cursor.slot] = std::min(cursor.seq, heads_[cursor.slot]);
    std::int64_t undrained = 0;
    for (const state::OutboxRow& row : state_.outbox) {
      if (row.id.seq <= next[row.id.slot]) continue;  // in both: drained, not yet removed
      if (row.id.seq != ++next[row.id.slot]) ++gaps_;
      ++undrained;
      take_outbox(row);
    }
    std::int64_t heads = 0;
    for (const auto& [slot, head] : heads_) heads += static_cast<std::int64_t>(head);
    const std::int64_t present = rows_ + undrained + removed->rows;
    found("I5", "every outbox row is in the ledger or still in the outbox, without a gap", heads,
          gaps_ + (present == heads ? 0 : 1),
          fmt::format("written {} in the ledger {} undrained {} aged out {}", heads, rows_,
                      undrained, removed->rows));
    found("I4", "what a hold is charged is at most the hold", rows_, above_hold_, "");
    found("I3", "each hold closes once", rows_ + undrained, closed_twice_, "");
    found("I9", "tokens × price = what was charged", audit_prices.checked(), audit_prices.wrong(),
          fmt::format("{} rows have no fixed price (time windows, tiers, damaged usage)",
                      audit_prices.skipped()));
    return {};
  }

  void close_hold(std::uint32_t slot, std::uint64_t hold_seq, std::int64_t kind) {
    if (hold_seq == 0) return;
    // An expired hold may be settled late: one row of each kind.
    const bool late = kind == static_cast<std::int64_t>(state::OutboxKind::late);
    if (!closed_.insert({slot, hold_seq * 2 + (late ? 1 : 0)}).second) ++closed_twice_;
  }

  void take(const ledger::UsageRow& row, const AuditPrices& prices) {
    charged_[row.wallet_id].charged += row.charged;
    charged_[row.wallet_id].excess += row.excess;
    above_hold_ += row.charged > row.held ? 1 : 0;
    close_hold(row.slot, row.hold_seq, row.kind);
    prices.check(row);
  }

  void take_outbox(const state::OutboxRow& row) {
    WalletSums& sums = charged_[static_cast<ledger::Id>(row.record.wallet_id)];
    sums.charged += row.record.charged;
    sums.excess += row.record.excess;
    above_hold_ += row.record.charged > row.record.held ? 1 : 0;
    close_hold(row.id.slot, row.record.hold.seq, static_cast<std::int64_t>(row.record.kind));
  }

  // I1, I2 of the copied wallets.
  void check_wallets() {
    std::map<state::WalletId, Nanos> held;
    for (const state::HoldRow& hold : state_.holds) {
      if (hold.record.state == state::HoldState::open)
        held[hold.record.wallet_id] += hold.record.amount;
    }
    std::int64_t identity = 0, holds = 0, charges = 0, below = 0;
    Nanos credits = 0, available = 0, held_sum = 0, charged = 0, excess = 0;
    for (const state::WalletRecord& wallet : state_.wallets) {
      const Nanos in = wallet.base + wallet.applied + wallet.lease_granted - wallet.lease_returned;
      identity += wallet.available + wallet.held + wallet.charged + wallet.excess == in ? 0 : 1;
      holds += held[wallet.wallet_id] == wallet.held ? 0 : 1;
      const WalletSums& sums = charged_[static_cast<ledger::Id>(wallet.wallet_id)];
      charges += sums.charged == wallet.charged && sums.excess == wallet.excess ? 0 : 1;
      // Below the limit only by what no reserve or extend did: excess and money taken back.
      const Nanos unasked =
          wallet.excess + std::max<Nanos>(-wallet.applied, 0) + std::max<Nanos>(-wallet.base, 0);
      below += wallet.available < -wallet.overdraft_limit - unasked ? 1 : 0;
      credits += in;
      available += wallet.available;
      held_sum += wallet.held;
      charged += wallet.charged;
      excess += wallet.excess;
    }
    const auto count = static_cast<std::int64_t>(state_.wallets.size());
    found("I1", "credits = available + held + charged + excess, each wallet", count, identity,
          fmt::format("credits {} available {} held {} charged {} excess {}", format_usd(credits),
                      format_usd(available), format_usd(held_sum), format_usd(charged),
                      format_usd(excess)));
    found("I1", "held = Σ open holds, each wallet", count, holds,
          fmt::format("open holds {}", state_.holds.size()));
    found("I1", "charged and excess = Σ rows of ledger and outbox, each wallet", count, charges,
          "");
    found("I2", "no wallet is below its limit by its own doing", count, below, "");
    found("–", "records that fail their check",
          static_cast<std::int64_t>(state_.wallets.size() + state_.holds.size() +
                                    state_.outbox.size()),
          static_cast<std::int64_t>(state_.corrupt.size()), "");
    found("–", "the copy took at most 500 ms", 1, copy_ns_ <= kCopyMost ? 0 : 1,
          fmt::format("{} ms", copy_ns_ / kMillisecond));
  }

  /// I3: an open hold has no closing row.
  void check_holds() {
    std::int64_t wrong = 0;
    for (const state::HoldRow& hold : state_.holds) {
      const bool open = hold.record.state == state::HoldState::open;
      if (open && hold.id.epoch == epoch() && closed_.contains({hold.id.slot, hold.id.seq * 2}))
        ++wrong;
    }
    found("I3", "an open hold has no closing row", static_cast<std::int64_t>(state_.holds.size()),
          wrong, "");
  }

  // I1 against the books: base is the balance at the epoch's start, applied the numbered entries
  // since.
  Result<> check_credits() {
    auto bases = ledger_.epochs().bases(node_, epoch());
    auto entries = ledger_.sums().numbered_entries();
    if (!bases) return std::unexpected(bases.error());
    if (!entries) return std::unexpected(entries.error());
    std::map<ledger::Id, ledger::EpochBase> base_of;
    for (const ledger::EpochBase& base : *bases) base_of[base.wallet_id] = base;
    std::map<ledger::Id, const state::WalletRecord*> wallets;
    for (const state::WalletRecord& wallet : state_.wallets)
      wallets[static_cast<ledger::Id>(wallet.wallet_id)] = &wallet;
    std::map<ledger::Id, Nanos> applied;
    for (const ledger::NumberedEntry& entry : *entries) {
      const auto wallet = wallets.find(entry.wallet_id);
      if (wallet == wallets.end()) continue;
      const std::int64_t from =
          base_of.contains(entry.wallet_id) ? base_of[entry.wallet_id].wallet_no : 0;
      const auto until = static_cast<std::int64_t>(wallet->second->applied_no);
      if (entry.wallet_no > from && entry.wallet_no <= until)
        applied[entry.wallet_id] += entry.amount;
    }
    std::int64_t wrong = 0;
    Nanos base_sum = 0, applied_sum = 0;
    for (const auto& [id, wallet] : wallets) {
      const Nanos base = base_of.contains(id) ? base_of[id].base : 0;
      wrong += base == wallet->base && applied[id] == wallet->applied ? 0 : 1;
      base_sum += wallet->base;
      applied_sum += wallet->applied;
    }
    found("I1", "credits are those of the ledger's entries, each wallet",
          static_cast<std::int64_t>(wallets.size()), wrong,
          fmt::format("base {} applied {}", format_usd(base_sum), format_usd(applied_sum)));
    return {};
  }

  ledger::Ledger& ledger_;
  const std::uint32_t node_;
  state::StateCopy state_;
  bool has_state_ = false;
  TimeNs copy_ns_ = 0;
  std::map<ledger::Id, WalletSums> charged_;
  std::map<std::uint32_t, std::uint64_t> heads_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> closed_;
  std::int64_t rows_ = 0, gaps_ = 0, above_hold_ = 0, closed_twice_ = 0;
  std::vector<Finding> findings_;
};

Outcome<> check(Session& session) {
  auto config = session.config();
  if (!config) return std::unexpected(config.error());
  std::string message;
  auto books = ledger::Ledger::open((*config)->ledger.database, ledger::Access::read_only,
                                    system_clock(), message);
  if (!books) return problem(books.error().code, message);
  Audit audit(**books, (*config)->node);
  if (auto copied = audit.copy((*config)->state.directory); !copied) return copied;
  if (auto done = audit.run(); !done) return done;
  std::vector<Record> records;
  std::int64_t wrong = 0;
  for (const Finding& finding : audit.findings()) {
    wrong += finding.wrong;
    records.push_back({{"invariant", finding.invariant},
                       {"ok", finding.wrong == 0},
                       {"checked", finding.checked},
                       {"wrong", finding.wrong},
                       {"what", finding.what},
                       {"sums", finding.sums}});
  }
  print_record_with(session.json(),
                    {{"ok", wrong == 0},
                     {"shared_state", audit.has_state()},
                     {"epoch", static_cast<std::int64_t>(audit.epoch())},
                     {"copy_ms", audit.copy_ns() / kMillisecond}},
                    "findings", records);
  std::fflush(stdout);
  if (wrong != 0) return problem(Errc::corrupt, fmt::format("check: {} findings are wrong", wrong));
  return {};
}

}  // namespace

void add_check_verb(Parser& parser, Session& session) {
  parser
      .verb("", "check",
            "the auditor: compares shared state and ledger, row by row; exit status 0 = all holds")
      .runs([&session] { return check(session); });
}

}  // namespace sluice::cli
