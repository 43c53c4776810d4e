// Customers, wallets and credits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sluice/control/service.hpp"

namespace sluice::control {

struct CustomerView {
  ledger::Customer customer;
  ledger::Wallet wallet;
};

struct CustomerSettings {
  std::optional<std::string> group;  ///< name of a price group
  std::optional<std::string> note;
  std::optional<std::string> zone;       ///< IANA name
  std::optional<std::string> overdraft;  ///< USD
  std::optional<std::string> budget_total;
  std::optional<std::string> budget_day;  ///< USD or "none"
  std::optional<std::string> budget_month;
  std::optional<std::string> max_in_flight;  ///< count or "none", as the two below
  std::optional<std::string> requests_per_minute;
  std::optional<std::string> tokens_per_minute;
  std::optional<bool> enabled;
};

/// Names of customers, keys, providers and channels: 1 to 64 of letters, digits, '.', '_' and '-',
/// models also '/', ':'
[[nodiscard]] Outcome<> check_name(std::string_view noun, std::string_view name);

[[nodiscard]] Outcome<CustomerView> add_customer(Service& service, std::string_view name,
                                                 const CustomerSettings& settings);
/// Applies what is set; `changed` says whether anything differs from before.
[[nodiscard]] Outcome<CustomerView> set_customer(Service& service, std::string_view name,
                                                 const CustomerSettings& settings, bool& changed);
[[nodiscard]] Outcome<CustomerView> find_customer(Service& service, std::string_view name);
[[nodiscard]] Outcome<std::vector<CustomerView>> list_customers(Service& service);

/// Gives credit; `amount` is USD text above 0.
[[nodiscard]] Outcome<ledger::Entry> add_credit(Service& service, std::string_view customer,
                                                std::string_view amount, std::string_view note);
/// Takes credit back by force: the balance may go below zero.
[[nodiscard]] Outcome<ledger::Entry> take_credit(Service& service, std::string_view customer,
                                                 std::string_view amount, std::string_view note);
[[nodiscard]] Outcome<std::vector<ledger::Entry>> wallet_history(Service& service,
                                                                 std::string_view customer,
                                                                 std::int64_t limit);

}  // namespace sluice::control
