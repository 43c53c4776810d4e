// Customers and their wallets.
#pragma once

#include <string_view>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/records.hpp"

namespace sluice::ledger {

class Db;

class CustomerBook {
 public:
  CustomerBook(Db& db, const Clock& clock) : db_(db), clock_(clock) {}

  /// Stores a customer and one wallet with its account. Fills the ids. Errc::conflict when the name
  /// exists.
  [[nodiscard]] Result<> add(Customer& customer, Wallet& wallet);
  /// Stores all fields of `customer` but its name; the wallets' generation moves on.
  [[nodiscard]] Result<> update(const Customer& customer);
  /// Stores limits, budgets and zone of `wallet`, never money.
  [[nodiscard]] Result<> update(const Wallet& wallet);

  [[nodiscard]] Result<Customer> by_name(std::string_view name);
  [[nodiscard]] Result<Customer> by_id(Id id);
  [[nodiscard]] Result<std::vector<Customer>> list();
  [[nodiscard]] Result<Wallet> wallet_of(Id customer_id);
  [[nodiscard]] Result<Wallet> wallet(Id wallet_id);
  [[nodiscard]] Result<std::vector<Wallet>> wallets();
  /// Wallets whose policy changed after `generation`.
  [[nodiscard]] Result<std::vector<Wallet>> wallets_changed_after(std::int64_t generation);

 private:
  Db& db_;
  const Clock& clock_;
};

}  // namespace sluice::ledger
