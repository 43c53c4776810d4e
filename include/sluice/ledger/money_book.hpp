// Accounts and entries: how money enters, and what is queued for the shared state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/records.hpp"

namespace sluice::ledger {

class Db;

/// Accounts that exist once. A wallet's account is made with it.
enum class House : std::int64_t {
  revenue = 1,         ///< what customers paid for use
  funding_credit = 2,  ///< source of credits that an operator gives
  loss_excess = 3,     ///< use above hold and excess_max: the operator's own loss
  funding_promo = 4,   ///< source of promotional credit
};

struct Account {
  Id id = 0;
  std::string name;  ///< "revenue", "wallet.7"
  Nanos debits = 0;  ///< posted totals, each ≥ 0
  Nanos credits = 0;
};

class MoneyBook {
 public:
  MoneyBook(Db& db, const Clock& clock) : db_(db), clock_(clock) {}

  /// Gives `amount` > 0 to a wallet: the entry, the numbered delta and its place in the publish
  /// queue in one transaction. Returns the entry. Errc::bad_value on overflow of a total.
  [[nodiscard]] Result<Entry> credit(Id wallet_id, Nanos amount, House source,
                                     std::string_view note);
  /// Takes `amount` > 0 from a wallet by force; its balance may go below zero.
  [[nodiscard]] Result<Entry> debit(Id wallet_id, Nanos amount, House target,
                                    std::string_view note);

  /// Deltas that wait to be applied, by wallet and number, at most `limit`.
  [[nodiscard]] Result<std::vector<Delta>> queued(std::int64_t limit);
  /// Forgets the deltas of a wallet up to `wallet_no`: shared state has them.
  [[nodiscard]] Result<> published(Id wallet_id, std::int64_t wallet_no);
  /// Whether the delta was published.
  [[nodiscard]] Result<bool> is_published(Id wallet_id, std::int64_t wallet_no);

  /// Entries of a wallet, newest first, at most `limit`.
  [[nodiscard]] Result<std::vector<Entry>> history(Id wallet_id, std::int64_t limit);
  [[nodiscard]] Result<std::vector<Account>> accounts();

 private:
  Result<Entry> move(Id wallet_id, Nanos amount, House house, bool into_wallet,
                     std::string_view note);
  Db& db_;
  const Clock& clock_;
};

}  // namespace sluice::ledger
