#include "control_fixture.hpp"

namespace sluice::control {
namespace {

TEST_F(ControlTest, CustomerHasAWalletAndASettingKeepsTheRest) {
  CustomerSettings settings;
  settings.zone = "Europe/Berlin";
  settings.budget_day = "5.50";
  ASSERT_EQ(problem_of(add_customer(*service_, "acme", settings)), "");
  CustomerSettings more;
  more.overdraft = "1";
  bool changed = false;
  ASSERT_EQ(problem_of(set_customer(*service_, "acme", more, changed)), "");
  EXPECT_TRUE(changed);
  auto view = find_customer(*service_, "acme");
  ASSERT_TRUE(view);
  EXPECT_EQ(view->wallet.zone, "Europe/Berlin");
  EXPECT_EQ(view->wallet.budget_day, 5'500'000'000);
  EXPECT_EQ(view->wallet.overdraft_limit, kNanosPerUsd);
  ASSERT_TRUE(set_customer(*service_, "acme", more, changed));
  EXPECT_FALSE(changed);
}

TEST_F(ControlTest, CreditIsExactAndAudited) {
  ASSERT_TRUE(add_customer(*service_, "acme", {}));
  auto entry = add_credit(*service_, "acme", "0.000000001", "smallest");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->amount, 1);
  ASSERT_TRUE(take_credit(*service_, "acme", "2", "chargeback"));
  EXPECT_EQ(find_customer(*service_, "acme")->wallet.balance, 1 - 2 * kNanosPerUsd);
  auto history = wallet_history(*service_, "acme", 10);
  ASSERT_TRUE(history);
  ASSERT_EQ(history->size(), 2U);
  EXPECT_EQ((*history)[0].note, "chargeback");
  auto audit = ledger_->audit().list(10);
  ASSERT_TRUE(audit);
  EXPECT_EQ((*audit)[0].action, "credit take");
  EXPECT_EQ((*audit)[0].actor, "tester");
}

TEST_F(ControlTest, MistakesHaveOneClearLine) {
  ASSERT_TRUE(add_customer(*service_, "acme", {}));
  EXPECT_EQ(problem_of(add_customer(*service_, "acme", {})), "customer 'acme': exists already");
  EXPECT_EQ(problem_of(find_customer(*service_, "nobody")), "customer 'nobody': not found");
  EXPECT_EQ(problem_of(add_credit(*service_, "acme", "-5", "")),
            "amount: must be USD above 0 such as 25.50");
  EXPECT_EQ(problem_of(add_credit(*service_, "acme", "0", "")),
            "amount: must be USD above 0 such as 25.50");
  EXPECT_EQ(problem_of(add_credit(*service_, "acme", "1e3", "")),
            "amount: must be USD above 0 such as 25.50");
  EXPECT_EQ(problem_of(add_customer(*service_, "a b", {})),
            "customer name 'a b': must be 1 to 64 letters, digits, '.', '_' or '-'");
  CustomerSettings settings;
  settings.zone = "Europe/Atlantis";
  EXPECT_EQ(problem_of(add_customer(*service_, "x", settings)),
            "zone: no such time zone; names are like Europe/Berlin or UTC");
  EXPECT_EQ(find_customer(*service_, "x").error().code, Errc::not_found);
  settings = {};
  settings.group = "vip";
  EXPECT_EQ(problem_of(add_customer(*service_, "x", settings)), "group 'vip': not found");
}

TEST_F(ControlTest, ZonesAreNamesOfTheZoneDatabaseOnly) {
  EXPECT_TRUE(zone_exists("UTC"));
  EXPECT_TRUE(zone_exists("Asia/Tokyo"));
  for (const char* bad :
       {"", "/etc/passwd", "../../etc/passwd", "Europe/../UTC", "Europe", "Asia/Tokyo\n"}) {
    EXPECT_FALSE(zone_exists(bad)) << bad;
  }
}

}  // namespace
}  // namespace sluice::control
