// Answers about the account of a key: our own, and those that desktop clients expect of OpenAI's
// dashboard. Cold path: allocates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sluice/base/units.hpp"
#include "sluice/dialect/format.hpp"

namespace sluice::dialect {

/// One budget and what of it is used.
struct BudgetView {
  std::optional<Nanos> limit;  ///< nothing = none is set
  Nanos spent = 0;
  Nanos reserved = 0;  ///< by requests that are under way
};

/// What is known of a key or a customer by its counters.
struct PartyView {
  BudgetView total, day, month;
  std::uint64_t requests_per_minute = 0;  ///< 0 = unlimited, as the two below
  std::uint64_t tokens_per_minute = 0;
  std::uint64_t max_in_flight = 0;
  std::uint64_t in_flight = 0;
};

struct AccountView {
  Nanos available = 0;  ///< of the wallet; may be negative
  Nanos held = 0;       ///< by requests that are under way
  Nanos overdraft = 0;  ///< that the wallet may go below zero
  Nanos spendable = 0;  ///< what a request of this key could cost at most now, ≥ 0
  PartyView key;
  PartyView customer;
  std::int64_t expires_s = 0;  ///< of the key, seconds since 1970; 0 = never
};

/// The body for an operation of is_account() but account_request. Money is exact: decimal USD in
/// our own answer as text, in the others as numbers. A desktop client shows hard_limit_usd −
/// total_usage / 100, which is `spendable`; what was spent is all that the key ever did, whatever
/// dates were asked for.
[[nodiscard]] std::string render_account(Operation operation, const AccountView& account);

}  // namespace sluice::dialect
