// A ledger in a file of its own, and ways to look at it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "sluice/ledger/ledger.hpp"

namespace sluice::ledger {

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = std::filesystem::temp_directory_path() /
                 ("sluice-ledger-" + std::to_string(::getpid()) + "-" + info->test_suite_name() +
                  "-" + info->name());
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    reopen();
  }
  ~LedgerTest() override {
    ledger_.reset();
    std::filesystem::remove_all(directory_);
  }

  void reopen() {
    ledger_.reset();
    std::string message;
    auto opened = Ledger::open(file(), Access::read_write, clock_, message);
    ASSERT_TRUE(opened) << message;
    ledger_ = std::move(*opened);
  }
  [[nodiscard]] std::string file() const { return (directory_ / "ledger.db").string(); }

  /// A customer with a wallet and a key; returns the wallet.
  Wallet add_customer(const std::string& name) {
    Customer customer;
    customer.name = name;
    Wallet wallet;
    EXPECT_TRUE(ledger_->customers().add(customer, wallet)) << ledger_->last_error();
    return wallet;
  }

  Nanos balance(Id wallet_id) {
    auto wallet = ledger_->customers().wallet(wallet_id);
    EXPECT_TRUE(wallet);
    return wallet ? wallet->balance : 0;
  }

  /// Double entry: what was debited was credited, in the accounts and in the entries behind them.
  void expect_balanced() {
    auto accounts = ledger_->money().accounts();
    ASSERT_TRUE(accounts);
    Nanos debits = 0, credits = 0;
    for (const Account& account : *accounts) {
      debits += account.debits;
      credits += account.credits;
    }
    EXPECT_EQ(debits, credits);
  }

  ManualClock clock_;
  std::filesystem::path directory_;
  std::unique_ptr<Ledger> ledger_;
};

/// Rows first … last of a slot, each charging `charged`.
inline std::vector<UsageRow> usage_rows(std::uint32_t slot, std::uint64_t first, std::uint64_t last,
                                        Id wallet_id, Nanos charged = 10) {
  std::vector<UsageRow> rows;
  for (std::uint64_t seq = first; seq <= last; ++seq) {
    UsageRow row;
    row.slot = slot;
    row.seq = seq;
    row.hold_seq = seq;
    row.kind = 1;
    row.status = 200;
    row.wallet_id = wallet_id;
    row.key_id = 1;
    row.model_id = 1;
    row.channel_id = 1;
    row.price_version = 1;
    row.request_id = "00000000000000000000000000000001";
    row.input = 3;
    row.output = 4;
    row.held = charged;
    row.charged = charged;
    row.started_ns = 1'800'000'000 * kSecond;
    row.key_day = row.wallet_day = 20'833;
    row.key_month = row.wallet_month = 24'324;
    rows.push_back(row);
  }
  return rows;
}

}  // namespace sluice::ledger
