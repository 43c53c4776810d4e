// Rows 8 and 9, and what admission and the records hear of them.
#include "drain.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "node.hpp"
#include "sluice/state/inspect.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {
namespace {

class DrainTest : public Node {
 protected:
  void SetUp() override {
    account_ = add_account("acme", 5 * kNanosPerUsd);
    start();
  }
  std::size_t outbox_rows() {
    state::StateCopy copy;
    EXPECT_TRUE(state::copy_state(environment(), state::kCopyOutbox, copy));
    return copy.outbox.size();
  }
  std::string records() {
    std::ostringstream text;
    for (const auto& file : std::filesystem::directory_iterator(options_.records_directory)) {
      text << std::ifstream(file.path()).rdbuf();
    }
    return text.str();
  }
  Account account_;
};

TEST_F(DrainTest, EveryRowIsStoredOnceAndLeavesTheOutbox) {
  PlayedShard first = shard(0), second = shard(1);
  for (int i = 0; i < 70; ++i) {
    first.request(account_.wallet.id, account_.key.id, 1000, 10);
    second.request(account_.wallet.id, account_.key.id, 1000, 10);
  }
  ASSERT_TRUE(reconciler_->drain_all(kSecond));
  EXPECT_EQ(usage().size(), 140U);
  EXPECT_EQ(outbox_rows(), 0U);
  EXPECT_EQ(balance(account_), 5 * kNanosPerUsd - 1400);
  EXPECT_EQ(live(account_).available, balance(account_));
}

TEST_F(DrainTest, BatchThatTheLedgerHasAlreadyIsNotStoredAgain) {
  PlayedShard shard = this->shard();
  for (int i = 0; i < 10; ++i) shard.request(account_.wallet.id, account_.key.id, 1000, 10);
  std::size_t heard = 0;
  Drain first(environment(), *books_, clock_, {});
  Drain second(environment(), *books_, clock_,
               [&](std::span<const state::OutboxRow> rows) { heard += rows.size(); });
  ASSERT_TRUE(first.load_cursors());
  ASSERT_TRUE(second.load_cursors());
  ASSERT_TRUE(first.poll());
  ASSERT_TRUE(second.poll());
  ASSERT_EQ(first.commit_batch(), 10U);
  // The second has the same rows in hand, as after a COMMIT whose outcome was unknown.
  EXPECT_EQ(second.commit_batch(), 10U);
  EXPECT_TRUE(second.empty());
  EXPECT_FALSE(second.broken());
  EXPECT_EQ(heard, 10U);
  EXPECT_EQ(usage().size(), 10U);
  // A drain that begins anew, before anything was deleted, finds nothing to do.
  Drain third(environment(), *books_, clock_, {});
  ASSERT_TRUE(third.load_cursors());
  ASSERT_TRUE(third.drain_good_rows());
  ASSERT_TRUE(third.trim());
  EXPECT_EQ(usage().size(), 10U);
  EXPECT_EQ(outbox_rows(), 0U);
}

TEST_F(DrainTest, RowThatTheBooksRefuseStopsItsSlotOnly) {
  PlayedShard good = shard(0), bad = shard(1);
  // A wallet that shared state has and the ledger does not.
  state::WalletPublish stranger;
  stranger.wallet_id = 999;
  stranger.overdraft_limit = kNanosPerUsd;
  state::WalletPublish rows[] = {stranger};
  ASSERT_EQ(state::Writer(environment()).publish_wallets(rows).committed, 1U);
  state::KeyPublish key;
  key.digest.fill(9);
  key.record.key_id = key.record.wallet_id = 999;
  state::KeyPublish keys[] = {key};
  ASSERT_EQ(state::Writer(environment()).publish_keys(keys).committed, 1U);
  for (int i = 0; i < 3; ++i) bad.request(account_.wallet.id, account_.key.id, 1000, 10);
  const state::Outcome odd = bad.reserve(999, 999, 1000);
  ASSERT_EQ(odd.verdict, state::Verdict::done) << state::to_string(odd.limit);
  bad.settle(odd.hold, 10, 999, 999);
  for (int i = 0; i < 3; ++i) good.request(account_.wallet.id, account_.key.id, 1000, 10);
  EXPECT_FALSE(reconciler_->drain_all(100 * kMillisecond));
  EXPECT_EQ(usage().size(), 6U);
}

TEST_F(DrainTest, LagIsToldToAdmission) {
  PlayedShard shard = this->shard();
  for (int i = 0; i < 4; ++i) shard.request(account_.wallet.id, account_.key.id, 1000, 250);
  Drain drain(environment(), *books_, clock_, {});
  ASSERT_TRUE(drain.load_cursors());
  ASSERT_TRUE(drain.poll());
  EXPECT_EQ(drain.lag().rows, 4U);
  EXPECT_EQ(drain.lag().nanos, 1000);
  EXPECT_GT(drain.lag().oldest_ns, 0);
  EXPECT_LE(drain.lag().oldest_ns, clock_.monotonic_ns());
  // While the ledger is locked by somebody else nothing is lost and admission sees it.
  state::AdmissionBlock& admission = environment().boards().admission();
  EXPECT_EQ(admission.max_undrained_nanos.load(), options_.max_undrained_nanos);
  clock_.advance(kSecond);
  ASSERT_TRUE(reconciler_->step());
  EXPECT_EQ(admission.undrained_rows.load(), 0U);
  EXPECT_EQ(admission.undrained_oldest_ns.load(), 0);
  EXPECT_EQ(admission.reconciler_heartbeat_ns.load(), clock_.monotonic_ns());
}

TEST_F(DrainTest, AccessRecordsNameKeyAndCustomer) {
  shard().request(account_.wallet.id, account_.key.id, 1000, 250);
  ASSERT_TRUE(reconciler_->drain_all(kSecond));
  const std::string text = records();
  EXPECT_NE(text.find("\"key\":\"main\",\"customer\":\"acme\""), std::string::npos) << text;
  EXPECT_NE(text.find("\"charged_nanos\":250"), std::string::npos) << text;
  EXPECT_NE(text.find("\"end\":\"finished\""), std::string::npos) << text;
  EXPECT_NE(text.find("\"time\":\"2027-01-15T08:00:00.000000Z\""), std::string::npos) << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
}

TEST_F(DrainTest, RefusedRequestsAreRecordedAndHostileTextIsTamed) {
  state::RefusedRecord record;
  record.at_ns = 1'800'000'000 * kSecond;
  record.http_status = 401;
  record.error = static_cast<std::uint8_t>(Errc::unauthenticated);
  const std::string name = "a\"b\\\n\xff\xc3";
  std::ranges::copy(name, record.model_name.begin());
  ASSERT_TRUE(environment().boards().refused(1).push(record));
  clock_.advance(kSecond);
  ASSERT_TRUE(reconciler_->step());
  ASSERT_TRUE(reconciler_->drain_all(kSecond));
  const std::string text = records();
  EXPECT_NE(text.find("\"model\":\"a\\\"b\\\\\\u000a\xEF\xBF\xBD\xEF\xBF\xBD\""), std::string::npos)
      << text;
  EXPECT_NE(text.find("\"status\":401,\"end\":\"refused\""), std::string::npos) << text;
  EXPECT_NE(text.find("\"error\":\"unauthenticated\""), std::string::npos) << text;
}

TEST_F(DrainTest, LeakedHoldOfALiveOwnerIsExpired) {
  PlayedShard shard = this->shard();
  ASSERT_EQ(shard.reserve(account_.wallet.id, account_.key.id, 1000).verdict, state::Verdict::done);
  clock_.advance(20 * kSecond);
  ASSERT_TRUE(reconciler_->step());
  EXPECT_EQ(live(account_).held, 1000) << "its deadline is not over";
  clock_.advance(2000 * kSecond);
  ASSERT_TRUE(reconciler_->step());
  EXPECT_EQ(live(account_).held, 0);
}

}  // namespace
}  // namespace sluice::reconcile
