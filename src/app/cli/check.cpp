// sluice check: the independent auditor. It copies the shared state first (one short read
// transaction), then reads the ledger up to the heads that it copied, then the heads again: what
// the ledger has lies between the two. It knows records, never the code that moves money.
#include <fmt/format.h>
#include <unistd.h>

#include "audit_books.hpp"
#include "audit_state.hpp"
#include "progress.hpp"
#include "sluice/state/environment.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

constexpr TimeNs kCopyMost = 500 * kMillisecond;
// A reconciler that builds a new epoch has it in the ledger first; its environment follows.
constexpr TimeNs kBuildPatience = 3 * kSecond;

/// One audit of one node.
class Audit {
 public:
  Audit(ledger::Ledger& ledger, std::uint32_t node, Progress& progress)
      : ledger_(ledger), node_(node), progress_(progress) {}

  /// Copies the shared state. Without one (stopped machine, other host) the ledger is audited
  /// alone.
  Outcome<> copy(const std::string& directory) {
    std::string message;
    auto environment = state::open({.directory = directory, .wait_ready_ns = 0}, message);
    if (!environment) {
      if (environment.error().code == Errc::not_found) return {};
      return problem(environment.error().code, "shared state: " + message);
    }
    environment_ = std::move(*environment);
    progress_.begin("copy of the shared state", 0);
    const TimeNs begin_ns = system_clock().monotonic_ns();
    if (auto copied = state::copy_state(*environment_, state::kCopyAll, state_.before); !copied) {
      return problem(copied.error().code, fmt::format("shared state: cannot be copied ({})",
                                                      to_string(copied.error().code)));
    }
    copy_ns_ = system_clock().monotonic_ns() - begin_ns;
    for (const state::SlotRecord& slot : state_.before.slots)
      state_.heads[slot.slot] = slot.outbox_seq;
    return {};
  }

  Outcome<> run() {
    auto done = ledger_.read([&]() -> Result<> {
      if (has_state()) {
        // The snapshot begins with the first question; what moves on is read after that.
        if (auto records = audit_records(ledger_, node_, state_, findings_); !records)
          return records;
        if (auto after = read_after(); !after) return after;
        if (auto shared = audit_shared(); !shared) return shared;
      }
      return audit_books(ledger_, findings_, progress_);
    });
    if (!done) return problem(done.error().code, "ledger: " + ledger_.last_error());
    return {};
  }

  /// The environment that was copied is not (or not any more) the one that the ledger names.
  [[nodiscard]] bool outdated() const {
    if (!has_state()) return false;
    const auto newest = is_newest_epoch(ledger_, node_, state_.before.meta);
    return newest && !*newest;
  }
  [[nodiscard]] const Findings& findings() const { return findings_; }
  [[nodiscard]] bool has_state() const { return environment_ != nullptr; }
  [[nodiscard]] std::uint64_t epoch() const { return state_.before.meta.epoch; }
  [[nodiscard]] TimeNs copy_ns() const { return copy_ns_; }

 private:
  Result<> read_after() {
    state::StateCopy after;
    constexpr std::uint32_t kWhat = state::kCopySlots | state::kCopyWallets;
    const auto copied = state::copy_state(*environment_, kWhat, after);
    // A new epoch was built meanwhile: nothing of this one moves on.
    const state::StateCopy& last = copied ? after : state_.before;
    for (const state::SlotRecord& slot : last.slots)
      state_.heads_after[slot.slot] = slot.outbox_seq;
    for (const state::WalletRecord& wallet : last.wallets)
      state_.applied_after[wallet.wallet_id] = wallet.applied_no;
    return {};
  }

  Result<> audit_shared() {
    auto rows = audit_rows(ledger_, node_, state_, findings_, progress_);
    if (!rows) return std::unexpected(rows.error());
    audit_balances(state_, *rows, findings_);
    if (auto credits = audit_credits(ledger_, node_, state_, *rows, findings_); !credits)
      return credits;
    findings_.add("–", "the copy took at most 500 ms").expect(copy_ns_ <= kCopyMost, [&] {
      return fmt::format("shared state: {} ms", copy_ns_ / kMillisecond);
    });
    return {};
  }

  ledger::Ledger& ledger_;
  const std::uint32_t node_;
  Progress& progress_;
  std::unique_ptr<state::Environment> environment_;
  AuditedState state_;
  TimeNs copy_ns_ = 0;
  Findings findings_;
};

void print(bool json, const Audit& audit, bool ok) {
  std::vector<Record> records;
  for (const Finding& finding : audit.findings().all()) {
    records.push_back({{"invariant", finding.invariant},
                       {"ok", finding.wrong == 0},
                       {"checked", finding.checked},
                       {"wrong", finding.wrong},
                       {"what", finding.what},
                       {"where", finding.where},
                       {"sums", finding.sums}});
  }
  print_record_with(json,
                    {{"ok", ok},
                     {"shared_state", audit.has_state()},
                     {"epoch", static_cast<std::int64_t>(audit.epoch())},
                     {"copy_ms", audit.copy_ns() / kMillisecond}},
                    "findings", records);
  std::fflush(stdout);
}

/// The first of what is wrong, and how much more there is.
std::string summary(const Findings& findings) {
  std::string line;
  int more = 0;
  for (const Finding& finding : findings.all()) {
    if (finding.wrong == 0) continue;
    if (line.empty()) {
      line = fmt::format("check: {}: {}: {}", finding.invariant, finding.what, finding.where);
    } else {
      ++more;
    }
  }
  if (more > 0) line += fmt::format(" (and {} more that {} wrong)", more, more == 1 ? "is" : "are");
  return line;
}

Outcome<> check(Session& session) {
  auto config = session.config();
  if (!config) return std::unexpected(config.error());
  std::string message;
  auto books = ledger::Ledger::open((*config)->ledger.database, ledger::Access::read_only,
                                    system_clock(), message);
  if (!books) return problem(books.error().code, message);
  std::optional<Progress> progress("check");
  std::optional<Audit> audit;
  const TimeNs deadline_ns = system_clock().monotonic_ns() + kBuildPatience;
  for (;;) {
    audit.reset();  // LMDB may be open only once in a process
    audit.emplace(**books, (*config)->node, *progress);
    const auto copied = audit->copy((*config)->state.directory);
    if (copied) {
      if (auto done = audit->run(); !done) return done;
      if (!audit->outdated()) break;
    } else if (copied.error().code != Errc::stale_epoch) {
      return copied;
    }
    if (system_clock().monotonic_ns() > deadline_ns) {
      if (!copied) return copied;
      break;
    }
    ::usleep(100'000);
  }
  progress.reset();  // its line makes room for the result
  const std::string wrong = summary(audit->findings());
  print(session.json(), *audit, wrong.empty());
  if (!wrong.empty()) return problem(Errc::corrupt, wrong);
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
