#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

TEST_F(LedgerTest, EpochsCountUpForEachNode) {
  EXPECT_EQ(ledger_->epochs().newest(1).error().code, Errc::not_found);
  EXPECT_EQ(ledger_->epochs().open_next(1, {})->epoch.epoch, 1U);
  EXPECT_EQ(ledger_->epochs().open_next(1, {})->epoch.epoch, 2U);
  EXPECT_EQ(ledger_->epochs().open_next(2, {})->epoch.epoch, 1U);
  auto newest = ledger_->epochs().newest(1);
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->epoch, 2U);
  EXPECT_EQ(newest->uuid, "");
  ASSERT_TRUE(ledger_->epochs().set_uuid(1, 2, "bb"));
  ASSERT_TRUE(ledger_->epochs().set_clean(1, 2, true));
  EXPECT_EQ(ledger_->epochs().newest(1)->uuid, "bb");
  EXPECT_TRUE(ledger_->epochs().newest(1)->clean);
  EXPECT_EQ(newest->closed_ns, 0);
}

TEST_F(LedgerTest, SnapshotHoldsTheMoneyOfQueuedDeltas) {
  const Wallet wallet = add_customer("acme");
  ASSERT_TRUE(ledger_->money().credit(wallet.id, 100, House::funding_credit, ""));
  ASSERT_TRUE(ledger_->money().debit(wallet.id, 30, House::funding_credit, ""));
  auto snapshot = ledger_->epochs().open_next(1, {});
  ASSERT_TRUE(snapshot) << ledger_->last_error();
  ASSERT_EQ(snapshot->wallets.size(), 1U);
  EXPECT_EQ(snapshot->wallets[0].balance, 70);
  EXPECT_EQ(snapshot->wallets[0].last_no, 2);
  EXPECT_TRUE(ledger_->money().queued(10)->empty());
  auto bases = ledger_->epochs().bases(1, 1);
  ASSERT_TRUE(bases);
  EXPECT_EQ((*bases)[0].base, 70);
  EXPECT_EQ((*bases)[0].wallet_no, 2);
  ASSERT_TRUE(ledger_->money().credit(wallet.id, 5, House::funding_credit, ""));
  EXPECT_EQ((*ledger_->money().queued(10))[0].wallet_no, 3);
}

TEST_F(LedgerTest, OpeningAnEpochRecordsGapsAndCursorsStartAnew) {
  const Wallet wallet = add_customer("acme");
  ASSERT_TRUE(ledger_->epochs().open_next(1, {}));
  ASSERT_TRUE(ledger_->usage().drain({1, 1, usage_rows(0, 1, 3, wallet.id)}));
  Gap gap;
  gap.node = 1, gap.epoch = 1, gap.slot = 0, gap.from_seq = 4, gap.reason = "power cut";
  auto snapshot = ledger_->epochs().open_next(1, {gap});
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->wallets[0].balance, -30);
  ASSERT_EQ(snapshot->windows.size(), 2U);
  auto gaps = ledger_->usage().gaps();
  ASSERT_TRUE(gaps);
  ASSERT_EQ(gaps->size(), 1U);
  EXPECT_EQ((*gaps)[0].reason, "power cut");
  EXPECT_TRUE(ledger_->usage().cursors(1, 2)->empty());
  ASSERT_TRUE(ledger_->usage().drain({1, 2, usage_rows(0, 1, 1, wallet.id)}));
}

}  // namespace
}  // namespace sluice::ledger
