// What must be true whatever happened: a plain ledger in the simulator's own memory. It is told
// what was asked and answered, never reads production's reasoning, and does the sums of prices and
// ends by itself.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "sluice/ledger/audit_book.hpp"
#include "sluice/ledger/usage.hpp"
#include "sluice/state/inspect.hpp"
#include "stage.hpp"

namespace sluice::sim {

struct Price {
  Nanos input = 0;  ///< nanos a million tokens
  Nanos output = 0;
};

struct Split {
  Nanos charged = 0;
  Nanos excess = 0;
  Nanos loss = 0;
  friend bool operator==(const Split&, const Split&) = default;
};

/// One reservation that was asked for, and what became of it.
/// The board, as its owner has shown it.
struct Shown {
  price::Phase phase = price::Phase::reserved;
  price::UsageState usage_state = price::UsageState::none;
  price::TokenCounts usage;
  Tokens counted = 0;
};

struct Attempt : Shown {
  std::uint64_t serial = 0;
  std::uint32_t owner = 0;  ///< instance of a shard
  std::uint64_t epoch = 0;
  std::uint64_t wallet = 0, key = 0, price_version = 0;
  Nanos amount = 0, excess_max = 0;
  std::uint32_t multiplier = 1000;
  Tokens input_estimate = 0;
  TimeNs deadline_ns = 0;
  // what was asked and not answered
  Nanos extension = 0;
  /// Extensions whose commit failed and whose hold could not be read again: at most one of them is
  /// in the hold, and its owner does not count on it.
  std::vector<Nanos> unsure;
  bool closing = false;
  price::End end = price::End::finished;
  bool with_record = true;

  enum class Known : std::uint8_t { asked, refused, held, closed, lost };
  Known known = Known::asked;
  bool tombstone = false;
  state::HoldId id;
  [[nodiscard]] bool may_be_open() const { return known == Known::asked || known == Known::held; }
};

/// One usage row, wherever it was seen first.
struct Row {
  std::uint64_t epoch = 0;
  std::uint32_t slot = 0;
  std::uint64_t seq = 0;
  std::uint64_t hold_seq = 0;
  state::OutboxKind kind = state::OutboxKind::usage;
  price::End end = price::End::finished;
  std::uint32_t flags = 0;
  std::uint64_t wallet = 0, key = 0, price_version = 0;
  Nanos held = 0;
  Split split;
  state::WindowIds key_windows, wallet_windows;
  bool in_ledger = false;
  bool lost = false;
  [[nodiscard]] Nanos paid() const { return split.charged + split.excess; }
};

using RowId = std::tuple<std::uint64_t, std::uint32_t, std::uint64_t>;

class Shadow {
 public:
  // ---- what is asked
  void add_price(std::uint64_t version, Price price) { prices_[version] = price; }
  Attempt& ask(const Op& op, std::uint32_t owner, std::uint64_t epoch);
  [[nodiscard]] Attempt& attempt(std::uint64_t serial) { return attempts_.at(serial); }
  /// `unread`: what came of a failed commit could perhaps not be told.
  void answered(Attempt& attempt, const Completion& completion, bool unread);
  void extended(Attempt& attempt, Nanos held);
  void owner_died(std::uint32_t owner) { dead_.insert(owner); }
  [[nodiscard]] bool is_dead(std::uint32_t owner) const { return dead_.contains(owner); }
  /// A credit or (negative) debit that the books confirmed, or may have taken.
  void money_moved(std::uint64_t wallet, Nanos amount, bool certain);
  /// The machine went down, or a row was destroyed: rows that were not drained may be lost.
  void power_cut() { may_lose_ = true; }
  void wallet_is_there(std::uint64_t wallet) { deltas_[wallet]; }

  // ---- what is seen; the first thing that is wrong is kept in problem()
  void see_state(const state::StateCopy& copy, TimeNs monotonic_ns);
  void see_ledger_rows(const std::vector<ledger::StoredUsage>& rows);
  void see_entries(const std::vector<ledger::NumberedEntry>& entries);
  void see_balance(std::uint64_t wallet, Nanos balance);
  void see_base(const state::WalletRecord& wallet);
  /// A new epoch is served: what the last ones had and the ledger has not is lost.
  void see_epoch(std::uint64_t epoch, const std::vector<ledger::Gap>& gaps);
  /// Nothing is going on any more.
  void see_rest(const state::StateCopy& copy);

  [[nodiscard]] const std::string& problem() const { return problem_; }
  void wrong(const std::string& what) {
    if (problem_.empty()) problem_ = what;
  }
  [[nodiscard]] std::uint64_t rows_seen() const { return rows_.size(); }
  [[nodiscard]] Nanos balance(std::uint64_t wallet) const;
  [[nodiscard]] const std::map<std::uint64_t, std::vector<Nanos>>& deltas() const {
    return deltas_;
  }
  struct Ends {
    std::uint64_t settled = 0, voided = 0, late = 0, crash = 0, lost = 0, expired = 0, excess = 0;
  };
  [[nodiscard]] const Ends& ends() const { return ends_; }

 private:
  void see_hold(const state::HoldRow& row, TimeNs monotonic_ns);
  void see_row(Row row);
  [[nodiscard]] static bool holds(Attempt& attempt, Nanos amount);
  void close(Attempt& attempt, const Row& row);
  [[nodiscard]] Split owed(const Attempt& attempt, price::End end) const;
  void see_wallet(const state::StateCopy& copy, const state::WalletRecord& wallet);
  void see_counter(const state::StateCopy& copy, const state::CounterRecord& counter);
  void see_slots(const state::StateCopy& copy);
  void see_absent(const state::StateCopy& copy);
  [[nodiscard]] Attempt* find(std::uint64_t epoch, std::uint32_t slot, std::uint64_t seq);

  std::map<std::uint64_t, Price> prices_;
  std::map<std::uint64_t, Attempt> attempts_;  // by serial
  std::map<RowId, std::uint64_t> by_hold_;     // (epoch, slot, hold sequence) → serial
  std::map<RowId, Row> rows_;
  std::set<std::uint32_t> dead_;
  std::map<std::uint64_t, std::vector<Nanos>> deltas_;
  std::map<std::uint64_t, std::vector<Nanos>> perhaps_;
  bool may_lose_ = false;
  std::string problem_;
  Ends ends_;
};

}  // namespace sluice::sim
