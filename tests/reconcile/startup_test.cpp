#include "reconcile_fixture.hpp"

namespace sluice::reconcile {
namespace {

TEST_F(ReconcileTest, FirstStartBuildsTheFirstEpoch) {
  EXPECT_TRUE(start().starts_with("rebuilt: there is no environment")) << reconciler_->started();
  stop();
  EXPECT_EQ(wallet().base, kNanosPerUsd);
  EXPECT_EQ(ledger_->epochs().newest(1)->epoch, 1U);
  EXPECT_TRUE(ledger_->epochs().newest(1)->clean);
}

TEST_F(ReconcileTest, StartsWarmWhenNothingIsWrong) {
  start();
  ASSERT_EQ(shard("settle", 3, 50), 0);
  stop();
  EXPECT_EQ(start(), "warm");
  stop();
  EXPECT_EQ(ledger_->epochs().newest(1)->epoch, 1U);
  EXPECT_EQ(wallet().charged, 150);
}

TEST_F(ReconcileTest, HoldsOfADeadShardAreClosedAtAWarmStart) {
  start();
  reconciler_.reset();
  ASSERT_EQ(shard("leave", 40, 50), 0);
  EXPECT_EQ(wallet().held, 2000);
  EXPECT_EQ(start(), "warm");
  stop();
  // Nothing had been sent upstream: RESERVED is void.
  EXPECT_EQ(wallet().held, 0);
  EXPECT_EQ(wallet().available, kNanosPerUsd);
}

TEST_F(ReconcileTest, AnotherBootIsANewEpochWithTheLedgersMoney) {
  start();
  ASSERT_EQ(shard("settle", 4, 25), 0);
  turns(2);
  reconciler_.reset();
  new_boot("0a1b2c3d-0000-4000-8000-000000000002");
  EXPECT_EQ(start(), "rebuilt: the machine was started again since");
  stop();
  EXPECT_EQ(wallet().base, kNanosPerUsd - 100);
  EXPECT_EQ(wallet().charged, 0);
  EXPECT_EQ(ledger_->epochs().newest(1)->epoch, 2U);
  // The old epoch was not left in order: what it had undrained nobody knows, and the ledger says so.
  const auto gaps = ledger_->usage().gaps();
  ASSERT_TRUE(gaps);
  ASSERT_EQ(gaps->size(), 1U);
  EXPECT_EQ((*gaps)[0].from_seq, 5U);
}

TEST_F(ReconcileTest, AnEpochLeftInOrderLeavesNoGap) {
  start();
  ASSERT_EQ(shard("settle", 4, 25), 0);
  stop();
  new_boot("0a1b2c3d-0000-4000-8000-000000000002");
  start();
  EXPECT_TRUE(ledger_->usage().gaps()->empty());
}

TEST_F(ReconcileTest, SpendingOfTodayCountsInTheNewEpoch) {
  start();
  ASSERT_EQ(shard("settle", 4, 25), 0);
  stop();
  new_boot("0a1b2c3d-0000-4000-8000-000000000002");
  start();
  stop();
  std::string message;
  auto environment = state::open({options_.state_directory}, message);
  ASSERT_TRUE(environment);
  const auto counters = (*environment)->find_counters(state::CounterKind::key, 1).value();
  EXPECT_EQ(counters->total.spent, 100);
  EXPECT_EQ(counters->day.spent, 100);
}

TEST_F(ReconcileTest, ACreditThatWaitedIsInTheNewEpochOnce) {
  start();
  reconciler_.reset();
  ASSERT_TRUE(control::add_credit(*service_, "acme", "4", ""));
  new_boot("0a1b2c3d-0000-4000-8000-000000000002");
  start();
  turns(2);
  stop();
  EXPECT_EQ(wallet().available, 5 * kNanosPerUsd);
}

TEST_F(ReconcileTest, ADamagedRowEndsTheEpochAndWhatIsGoodIsKept) {
  start();
  reconciler_.reset();
  ASSERT_EQ(shard("settle", 10, 25), 0);
  // One byte of the seventh row, in the file itself.
  const auto file = std::filesystem::canonical(root_ / "state" / "current") / "data.mdb";
  std::fstream data(file, std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(data)), std::istreambuf_iterator<char>());
  const std::string mark = std::string("request 0000006");
  std::size_t damaged = 0;
  for (std::size_t at = bytes.find(mark); at != std::string::npos; at = bytes.find(mark, at + 1)) {
    data.clear();
    data.seekp(static_cast<std::streamoff>(at));
    data.put('R');
    ++damaged;
  }
  data.close();
  ASSERT_GT(damaged, 0U);
  EXPECT_EQ(start(), "rebuilt: a row could not be drained");
  EXPECT_EQ(ledger_rows(), 6);
  const auto gaps = ledger_->usage().gaps();
  ASSERT_TRUE(gaps);
  ASSERT_EQ(gaps->size(), 1U);
  EXPECT_EQ((*gaps)[0].from_seq, 7U);
  EXPECT_EQ((*gaps)[0].until_seq, 11U);
  stop();
  EXPECT_EQ(wallet().available, ledger_balance());
  EXPECT_EQ(ledger_balance(), kNanosPerUsd - 150);
}

TEST_F(ReconcileTest, ARestoredLedgerIsNoticed) {
  start();
  stop();
  // A ledger that never knew this environment.
  ledger_.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(options_.database + suffix);
  EXPECT_EQ(start(), "rebuilt: the ledger does not know this environment");
}

TEST_F(ReconcileTest, TwoReconcilersAreNotAllowed) {
  start();
  std::string message;
  const auto second = Reconciler::start(options_, system_clock(), message);
  EXPECT_EQ(second.error().code, Errc::conflict);
  EXPECT_EQ(message, "another reconciler runs on " + options_.state_directory);
}

TEST_F(ReconcileTest, AHeldSlotIsAttachedToAndNeverReaped) {
  start();
  reconciler_.reset();
  ASSERT_EQ(shard("leave", 2, 50), 0);
  auto held = state::SlotLock::acquire(options_.state_directory, 3);
  ASSERT_TRUE(held);
  EXPECT_EQ(start(), "attached");
  reconciler_.reset();
  EXPECT_EQ(wallet().held, 100);
  // An environment that cannot be used while shards hold slots: not a new one under their feet.
  new_boot("0a1b2c3d-0000-4000-8000-000000000002");
  std::string message;
  EXPECT_EQ(Reconciler::start(options_, system_clock(), message).error().code, Errc::conflict);
}

}  // namespace
}  // namespace sluice::reconcile
