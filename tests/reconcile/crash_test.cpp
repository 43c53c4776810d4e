// The reconciler dies at every commit, rename and file it writes; whatever is repeated then counts once.
#include <csignal>

#include "reconcile_fixture.hpp"

namespace sluice::reconcile {
namespace {

TEST_F(ReconcileTest, DyingAnywhereLosesAndDoublesNothing) {
  start();
  stop();
  bool finished = false;
  int rounds = 0;
  Nanos credits = kNanosPerUsd;
  std::int64_t rows = 0;
  for (int at = 1; !finished && at < 200; ++at) {
    ASSERT_EQ(shard("settle", 3, 10), 0);
    rows += 3;
    ASSERT_TRUE(control::add_credit(*service_, "acme", "0.000001", ""));
    credits += 1'000;
    const int status = run("SLUICE_CRASH_AT=" + std::to_string(at) + " " + SHARD_HELPER + " reconcile " +
                           options_.state_directory + " " + options_.database + " " + options_.boot_id_file +
                           " 2>/dev/null");
    finished = status == 0;
    ASSERT_TRUE(finished || status == 128 + SIGKILL || status == 137) << status;
    ++rounds;
  }
  EXPECT_TRUE(finished);
  EXPECT_GT(rounds, 10);
  EXPECT_EQ(start(), "warm");
  turns(3);
  EXPECT_EQ(ledger_rows(), rows);
  EXPECT_EQ(ledger_balance(), credits - rows * 10);
  EXPECT_TRUE(ledger_->money().queued(10)->empty());
  stop();
  EXPECT_EQ(wallet().available, ledger_balance());
  EXPECT_EQ(outbox_rows(), 0U);
  EXPECT_EQ(ledger_->epochs().newest(1)->epoch, 1U);
}

TEST_F(ReconcileTest, DyingWhileAnEpochIsBuiltStartsTheNextOne) {
  bool finished = false;
  for (int at = 1; !finished && at < 60; ++at) {
    new_boot("0a1b2c3d-0000-4000-8000-0000000000" + std::to_string(10 + at));
    ASSERT_TRUE(control::add_credit(*service_, "acme", "1", ""));
    const int status = run("SLUICE_CRASH_AT=" + std::to_string(at) + " " + SHARD_HELPER + " reconcile " +
                           options_.state_directory + " " + options_.database + " " + options_.boot_id_file +
                           " 2>/dev/null");
    finished = status == 0;
    ASSERT_TRUE(finished || status == 128 + SIGKILL || status == 137) << status;
    // Whatever it left behind, the next start has the ledger's money.
    start();
    stop();
    ASSERT_EQ(wallet().available, ledger_balance()) << at;
  }
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace sluice::reconcile
