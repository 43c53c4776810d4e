// Looks at the wallets and keys that were just charged: is a balance low, is a budget reached? Each
// event becomes one notice in the ledger, and none again until its condition has been gone.
#pragma once

#include <map>
#include <span>

#include "sluice/base/clock.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/state/boards.hpp"
#include "sluice/state/inspect.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::reconcile {

class NoticeWatch {
 public:
  /// `low_balance` in nanos; 0 = balances are not looked at. Both outlive it.
  NoticeWatch(ledger::Ledger& ledger, const Clock& clock, Nanos low_balance)
      : ledger_(ledger), clock_(clock), low_balance_(low_balance) {}

  /// Notes whom these rows charged. No I/O.
  void note(std::span<const state::OutboxRow> rows);
  /// Notes a key that was refused for want of money: a budget whose rest pays no request any more
  /// is reached. No I/O.
  void note(const state::RefusedRecord& record);
  /// Looks at some of them; called once a second. True when it raised a notice. Errors of the
  /// ledger: looked at again at the next call.
  [[nodiscard]] Result<bool> step();

  /// What ChannelWatch has found: a channel is down or up again. Raises a notice unless it stands,
  /// and clears its opposite. True when it raised one. `why` may be empty.
  [[nodiscard]] Result<bool> tell_channel(bool down, ledger::Id channel_id, std::string_view name,
                                          std::string_view why);

 private:
  struct Windows {
    std::int64_t day = 0;  ///< 0 = the newest one that has a sum
    std::int64_t month = 0;
    state::Limit refused = state::Limit::none;
  };
  using Touched = std::map<ledger::Id, Windows>;

  [[nodiscard]] Result<> look_at_wallet(ledger::Id id, const Windows& windows);
  [[nodiscard]] Result<> look_at_key(ledger::Id id, const Windows& windows);
  [[nodiscard]] Result<> check_balance(const ledger::Wallet& wallet, std::string_view customer);
  struct Budget {
    ledger::NoticeKind kind;
    Nanos limit;
    Nanos spent;
    std::int64_t period;
    bool refused;  ///< its rest did not pay a request
  };
  [[nodiscard]] Result<> check_budget(const Budget& budget, ledger::Id subject,
                                      std::string_view customer, std::string_view key);
  [[nodiscard]] Result<> raise(ledger::NoticeKind kind, ledger::Id subject, std::int64_t period,
                               std::string_view body);
  [[nodiscard]] Result<std::string> customer_of(const ledger::Wallet& wallet);

  ledger::Ledger& ledger_;
  const Clock& clock_;
  Nanos low_balance_;
  Touched wallets_;
  Touched keys_;
  bool raised_ = false;
};

}  // namespace sluice::reconcile
