// Secrets of keys that were rotated.
#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

class RotationTest : public LedgerTest {};

TEST_F(RotationTest, ARotatedKeyLeavesItsSecretsBehindUntilTheyEnd) {
  const Wallet wallet = add_customer("acme");
  ApiKey key;
  key.wallet_id = wallet.id;
  key.name = "main";
  key.digest = std::string(64, 'a');
  ASSERT_TRUE(ledger_->keys().add(key));
  const std::int64_t before = key.generation;
  const TimeNs now_ns = clock_.realtime_ns();
  key.digest = std::string(64, 'b');
  ASSERT_TRUE(ledger_->keys().rotate(key, now_ns + 100));
  EXPECT_GT(key.generation, before);
  key.digest = std::string(64, 'c');
  ASSERT_TRUE(ledger_->keys().rotate(key, now_ns + 50));
  const auto former = ledger_->keys().former_of(key.id);
  ASSERT_EQ(former->size(), 2U);
  for (const FormerSecret& secret : *former)
    EXPECT_EQ(secret.expires_ns, now_ns + 50) << "none outlives the latest overlap";
  EXPECT_EQ(ledger_->keys().by_id(key.id)->digest, std::string(64, 'c'));

  for (const char c : {'a', 'b', 'c'}) {
    ApiKey other = key;
    other.name = "other";
    other.digest = std::string(64, c);
    EXPECT_EQ(ledger_->keys().add(other).error().code, Errc::conflict) << c;
  }
  EXPECT_TRUE(ledger_->keys().former_expired(now_ns + 49, 10)->empty());
  const auto expired = ledger_->keys().former_expired(now_ns + 50, 10);
  ASSERT_EQ(expired->size(), 2U);
  ASSERT_TRUE(ledger_->keys().forget_former(*expired));
  EXPECT_TRUE(ledger_->keys().former_of(0)->empty());
}

}  // namespace
}  // namespace sluice::ledger
