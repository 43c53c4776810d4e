#include <thread>

#include "reconcile_fixture.hpp"
#include "sluice/state/catalog.hpp"

namespace sluice::reconcile {
namespace {

TEST_F(ReconcileTest, DrainsEveryRowOnce) {
  start();
  ASSERT_EQ(shard("settle", 1200, 100), 0);
  turns(2);
  EXPECT_EQ(ledger_rows(), 1200);
  EXPECT_EQ(ledger_balance(), kNanosPerUsd - 120'000);
  turns(3);
  EXPECT_EQ(ledger_rows(), 1200);
  stop();
  EXPECT_EQ(outbox_rows(), 0U);
  EXPECT_EQ(wallet().available, ledger_balance());
  EXPECT_EQ(wallet().charged, 120'000);
  EXPECT_EQ(record_lines(), 1200U);
}

TEST_F(ReconcileTest, DrainsSeveralShardsAndGoesOnAfterARestart) {
  start();
  ASSERT_EQ(shard("settle", 10, 7), 0);
  turns(1);
  reconciler_.reset();  // as after kill -9: nothing is tidied up
  ASSERT_EQ(shard("settle", 20, 7), 0);
  EXPECT_EQ(start(), "warm");
  EXPECT_EQ(ledger_rows(), 30);
  ASSERT_EQ(shard("settle", 5, 7), 0);
  turns(2);
  EXPECT_EQ(ledger_rows(), 35);
  stop();
  EXPECT_EQ(wallet().available, ledger_balance());
}

TEST_F(ReconcileTest, ACreditIsAppliedOnceHoweverOftenItIsPublished) {
  start();
  ASSERT_TRUE(control::add_credit(*service_, "acme", "2", ""));
  ASSERT_TRUE(control::take_credit(*service_, "acme", "0.5", ""));
  turns(4);
  EXPECT_TRUE(ledger_->money().queued(10)->empty());
  stop();
  EXPECT_EQ(wallet().available, 2'500'000'000);
  // The first credit was in the snapshot that built the epoch; the two that followed are numbers 2 and 3.
  EXPECT_EQ(wallet().applied_no, 3U);
  EXPECT_EQ(wallet().applied, 1'500'000'000);
}

TEST_F(ReconcileTest, KeysAndWalletsOfTheLedgerBecomeVisible) {
  start();
  ASSERT_TRUE(control::add_customer(*service_, "late", {}));
  ASSERT_TRUE(control::add_credit(*service_, "late", "3", ""));
  control::KeySettings settings;
  settings.budget_day = "2";
  settings.models = "m,gpt-*";
  settings.zone = "Asia/Tokyo";
  const auto key = control::add_key(*service_, "late", "k", settings);
  ASSERT_TRUE(key);
  turns(4);
  EXPECT_EQ(ledger_->catalog().published(1).value_or(-1), ledger_->catalog().newest().value_or(-2));
  stop();
  std::string message;
  auto environment = state::open({options_.state_directory}, message);
  ASSERT_TRUE(environment) << message;
  const auto record = (*environment)->find_key(hasher_.hash(key->secret));
  ASSERT_TRUE(record && *record);
  EXPECT_EQ((*record)->state, state::KeyState::active);
  EXPECT_EQ((*record)->on_low_balance, state::OnLowBalance::clamp);
  EXPECT_NE((*record)->model_set, 0U);
  EXPECT_NE((*record)->zone, 0U);
  EXPECT_EQ((*environment)->find_wallet((*record)->wallet_id).value()->available, 3 * kNanosPerUsd);
  EXPECT_EQ((*environment)->find_counters(state::CounterKind::key, (*record)->key_id).value()->limits.budget_day,
            2 * kNanosPerUsd);
  const auto pointer = (*environment)->catalog_pointer();
  ASSERT_TRUE(pointer);
  const auto catalog = state::Catalog::open(
      (*environment)->epoch_directory() + "/" + pointer->catalog_file.data(), pointer->catalog_hash);
  ASSERT_TRUE(catalog);
  const auto* model = (*catalog)->find_model("m");
  ASSERT_NE(model, nullptr);
  EXPECT_TRUE((*catalog)->model_in_set((*record)->model_set, *model));
  ASSERT_NE((*catalog)->price_of(*model, system_clock().realtime_ns()), nullptr);
}

TEST_F(ReconcileTest, DisablingAKeyReachesItsCounters) {
  start();
  control::KeySettings off;
  off.enabled = false;
  bool changed = false;
  ASSERT_TRUE(control::set_key(*service_, "acme", "k", off, changed));
  turns(3);
  EXPECT_NE(shard("settle", 1, 1), 0);
  off.enabled = true;
  ASSERT_TRUE(control::set_key(*service_, "acme", "k", off, changed));
  turns(3);
  EXPECT_EQ(shard("settle", 1, 1), 0);
}

TEST_F(ReconcileTest, AnswersOnItsSocket) {
  start();
  EXPECT_FALSE(query_wallet(options_.state_directory + "/none", 1));
  std::optional<LiveWallet> live, unknown;
  ASSERT_EQ(shard("leave", 2, 30), 0);
  std::thread asker([&] {
    live = query_wallet(options_.state_directory, 1);
    unknown = query_wallet(options_.state_directory, 99);
  });
  for (int i = 0; i < 20; ++i) reconciler_->wait();
  asker.join();
  ASSERT_TRUE(live);
  EXPECT_EQ(live->held, 60);
  EXPECT_EQ(live->available, kNanosPerUsd - 60);
  ASSERT_EQ(live->holds.size(), 2U);
  EXPECT_EQ(live->holds[0].key_id, 1U);
  EXPECT_EQ(live->holds[0].amount, 30);
  EXPECT_FALSE(unknown);
}

}  // namespace
}  // namespace sluice::reconcile
