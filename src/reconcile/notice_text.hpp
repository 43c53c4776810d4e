// Notices as people and programs read them: the webhook's body and the mail. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/ledger/notice_book.hpp"

namespace sluice::reconcile {

/// "wallet.low_balance", "key.budget_reached", "channel.down" …
[[nodiscard]] std::string_view notice_type(ledger::NoticeKind kind);

struct BalanceFacts {
  std::string_view customer;
  Nanos balance = 0;
  Nanos threshold = 0;
};
[[nodiscard]] std::string low_balance_body(TimeNs realtime_ns, const BalanceFacts& facts);

struct BudgetFacts {
  std::string_view customer;
  std::string_view key;  ///< empty for a wallet's budget
  Nanos budget = 0;
  Nanos spent = 0;
};
[[nodiscard]] std::string budget_body(ledger::NoticeKind kind, TimeNs realtime_ns,
                                      const BudgetFacts& facts);

/// What webhook-id says and receivers forget repetitions by: "sluice-NODE-ID".
[[nodiscard]] std::string message_id(std::uint32_t node, ledger::Id id);

/// The whole message (RFC 5322): plain text, a line a fact, CR LF ends.
[[nodiscard]] std::string mail_text(const ledger::Notice& notice, std::string_view id,
                                    std::string_view from, const std::vector<std::string>& to);

}  // namespace sluice::reconcile
