#include "sluice/state/environment.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "scratch.hpp"
#include "sluice/state/inspect.hpp"
#include "sluice/state/slots.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::state {
namespace {

TEST(Environment, SaysWhatIsMissing) {
  ScratchDirectory scratch;
  std::string message;
  EXPECT_EQ(open({scratch.path()}, message).error().code, Errc::not_found);
  EXPECT_NE(message.find("sluice-reconciler"), std::string::npos) << message;
  ASSERT_EQ(symlink("epoch.9", (scratch.path() + "/current").c_str()), 0);
  EXPECT_EQ(open({scratch.path()}, message).error().code, Errc::not_found);
  EXPECT_NE(message.find("epoch.9"), std::string::npos) << message;
  EXPECT_FALSE(std::filesystem::exists(scratch.path() + "/epoch.9")) << "opening creates nothing";
}

TEST(Environment, ALinkThatLeadsElsewhereIsNotFollowed) {
  ScratchDirectory scratch;
  std::string message;
  for (const char* target : {"/etc", "../x", "epoch.1/../../y"}) {
    unlink((scratch.path() + "/current").c_str());
    ASSERT_EQ(symlink(target, (scratch.path() + "/current").c_str()), 0);
    EXPECT_EQ(open({scratch.path()}, message).error().code, Errc::not_found);
  }
}

TEST(Environment, BuiltEpochIsReadyAndComplete) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path(), 7), 300, 5000);
  ASSERT_NE(environment, nullptr);
  EXPECT_EQ(environment->epoch(), 7U);
  EXPECT_EQ(environment->meta().ready, 1U);
  const auto key = environment->find_key(digest_of(123));
  ASSERT_TRUE(key && *key);
  EXPECT_EQ((*key)->wallet_id, 123U);
  EXPECT_EQ(environment->find_key(digest_of(100'000)).value(), std::nullopt);
  const auto wallet = environment->find_wallet(123);
  ASSERT_TRUE(wallet && *wallet);
  EXPECT_EQ((*wallet)->available, 5000);
  EXPECT_TRUE(identity_holds(**wallet));
  StateCopy copy;
  ASSERT_TRUE(copy_state(*environment, kCopyAll, copy));
  EXPECT_EQ(copy.wallets.size(), 300U);
  EXPECT_EQ(copy.counters.size(), 600U);
  EXPECT_EQ(copy.keys.size(), 300U);
  EXPECT_EQ(copy.slots.size(), 4U);
  EXPECT_TRUE(copy.corrupt.empty());
  const auto use = environment->map_use();
  ASSERT_TRUE(use);
  EXPECT_EQ(use->map_pages, 32 * kMiB / 4096);
  EXPECT_GT(use->free_pages(), use->map_pages / 2);
}

TEST(Environment, TheWholeMapIsAllocatedAtCreation) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path()), 1, 1);
  struct stat status{};
  ASSERT_EQ(stat((environment->epoch_directory() + "/data.mdb").c_str(), &status), 0);
  EXPECT_GE(status.st_blocks * 512, static_cast<blkcnt_t>(32 * kMiB));
}

TEST(Environment, SnapshotSumsAndNumbersArriveInTheTables) {
  ScratchDirectory scratch;
  WalletSnapshot wallet = wallet_snapshot(5, 900);
  wallet.applied_no = 41;
  wallet.total = {700, 0};
  wallet.day = {20, 0};
  wallet.windows = {100, 9};
  KeySnapshot key = key_snapshot(8, 5);
  key.key.limits.budget_day = 50;
  key.month = {33, 0};
  KeySnapshot second_digest = key;
  second_digest.key.digest = digest_of(99);
  second_digest.month = {1, 0};
  std::string message;
  auto lock = EnvironmentLock::acquire(scratch.path());
  ASSERT_TRUE(lock);
  SeededRng rng(1);
  ASSERT_TRUE(build_epoch(build_options(scratch.path()), *lock, {wallet}, {key, second_digest}, rng,
                          message))
      << message;
  auto environment = open({scratch.path()}, message);
  ASSERT_TRUE(environment) << message;
  EXPECT_EQ((*environment)->find_wallet(5).value()->applied_no, 41U);
  const CounterRecord of_wallet =
      (*environment)->find_counters(CounterKind::wallet, 5, 5).value().value();
  EXPECT_EQ(of_wallet.total.spent, 700);
  EXPECT_EQ(of_wallet.windows, (WindowIds{100, 9}));
  const CounterRecord of_key =
      (*environment)->find_counters(CounterKind::key, 5, 8).value().value();
  EXPECT_EQ(of_key.limits.budget_day, 50);
  EXPECT_EQ(of_key.month.spent, 33) << "the first digest's sums";
  EXPECT_EQ((*environment)->find_key(digest_of(99)).value()->key_id, 8U);
}

TEST(Environment, RefusesSnapshotsThatCannotBe) {
  ScratchDirectory scratch;
  auto lock = EnvironmentLock::acquire(scratch.path());
  ASSERT_TRUE(lock);
  SeededRng rng(1);
  std::string message;
  EXPECT_EQ(build_epoch(build_options(scratch.path()), *lock,
                        {wallet_snapshot(5, 1), wallet_snapshot(5, 2)}, {}, rng, message)
                .error()
                .code,
            Errc::bad_value);
  EXPECT_EQ(
      build_epoch(build_options(scratch.path()), *lock, {wallet_snapshot(0, 1)}, {}, rng, message)
          .error()
          .code,
      Errc::bad_value);
  EXPECT_EQ(
      build_epoch(build_options(scratch.path()), *lock, {}, {key_snapshot(0, 1)}, rng, message)
          .error()
          .code,
      Errc::bad_value);
  EXPECT_FALSE(std::filesystem::exists(scratch.path() + "/epoch.1")) << "nothing half made stays";
}

TEST(Environment, AMapThatIsTooSmallIsAnErrorWithAName) {
  ScratchDirectory scratch;
  BuildOptions options = build_options(scratch.path());
  options.map_bytes = kMiB;
  auto lock = EnvironmentLock::acquire(scratch.path());
  std::vector<KeySnapshot> keys;
  for (KeyId i = 1; i < 10'000; ++i) keys.push_back(key_snapshot(i, i));
  SeededRng rng(1);
  std::string message;
  EXPECT_EQ(build_epoch(options, *lock, {}, keys, rng, message).error().code, Errc::full);
  EXPECT_NE(message.find("too small"), std::string::npos) << message;
  EXPECT_EQ(open({scratch.path()}, message).error().code, Errc::not_found);
}

TEST(Environment, ATmpfsThatIsTooSmallIsAnErrorAtCreation) {
  ScratchDirectory scratch;
  BuildOptions options = build_options(scratch.path());
  options.map_bytes = 1024ULL * 1024 * kMiB;  // 1 TiB
  auto lock = EnvironmentLock::acquire(scratch.path());
  SeededRng rng(1);
  std::string message;
  EXPECT_EQ(build_epoch(options, *lock, {}, {}, rng, message).error().code, Errc::full) << message;
  EXPECT_NE(message.find("no room"), std::string::npos) << message;
}

TEST(Environment, AnUnwritableDirectoryIsAnErrorWithAName) {
  ScratchDirectory scratch;
  auto lock = EnvironmentLock::acquire(scratch.path());
  BuildOptions options = build_options(scratch.path());
  options.directory = scratch.path() + "/absent";
  SeededRng rng(1);
  std::string message;
  EXPECT_EQ(build_epoch(options, *lock, {}, {}, rng, message).error().code, Errc::io);
  EXPECT_NE(message.find("cannot create"), std::string::npos) << message;
}

TEST(Environment, ReadyIsWaitedForAndThenGivenUp) {
  ScratchDirectory scratch;
  std::string message;
  const TimeNs wait = 30 * kMillisecond;
  EXPECT_EQ(open({scratch.path(), wait}, message).error().code, Errc::not_found);
}

// Rows behind all others are appended; those of a slot that has later ones behind it are not. Pages
// fill, split and empty either way.
TEST(Environment, RowsOfSeveralSlotsLieInOrderHoweverTheyCame) {
  ScratchDirectory scratch;
  const auto environment = build_and_open(build_options(scratch.path()), 1, 100);
  ASSERT_NE(environment, nullptr);
  Store& store = environment->store();
  SeededRng rng(3);
  std::set<std::pair<SlotId, std::uint64_t>> model;
  std::array<std::uint64_t, 3> next{};
  for (int txn = 0; txn < 60; ++txn) {
    const Result<Tables*> tables = store.begin();
    ASSERT_TRUE(tables);
    for (int i = 0; i < 20; ++i) {
      const auto slot = static_cast<SlotId>(txn < 20 ? 1 : rng.next_u64() % next.size());
      OutboxRecord row;
      row.hold = HoldId(1, slot, ++next[slot]);
      row.tags[0] = rng.next_u64() % 4 == 0 ? 'x' : '\0';
      ASSERT_TRUE((*tables)->put(Table::outbox, outbox_key(slot, row.hold.seq), encode(row)));
      model.emplace(slot, row.hold.seq);
      if (rng.next_u64() % 2 == 0) continue;
      const auto gone = *model.begin();
      ASSERT_TRUE((*tables)->erase(Table::outbox, outbox_key(gone.first, gone.second)).value());
      model.erase(gone);
    }
    ASSERT_TRUE(store.commit());
  }
  const Result<Tables*> tables = store.begin();
  ASSERT_TRUE(tables);
  OutboxKey from{};
  for (const auto& [slot, seq] : model) {
    const Row row = (*tables)->seek(Table::outbox, from).value();
    ASSERT_EQ(parse_outbox_key(row.key).value(), (OutboxId{slot, seq}));
    ASSERT_EQ(decode<OutboxRecord>(row.value).value().hold, HoldId(1, slot, seq));
    from = outbox_key(slot, seq + 1);
  }
  EXPECT_TRUE((*tables)->seek(Table::outbox, from).value().key.empty());
  store.abort();
}

TEST(Environment, ANewEpochRetiresTheOldOneForWhoeverIsStillInIt) {
  ScratchDirectory scratch;
  auto old = build_and_open(build_options(scratch.path(), 1), 3, 100);
  ASSERT_NE(old, nullptr);
  Result<Tables*> tables = old->store().begin();
  ASSERT_TRUE(tables);
  old->store().abort();
  auto lock = EnvironmentLock::acquire(scratch.path());
  std::string message;
  // In a process of its own: LMDB may have an environment open only once in each.
  EXPECT_EQ(in_child([&] {
              SeededRng rng(2);
              return build_epoch(build_options(scratch.path(), 2), *lock, {wallet_snapshot(1, 1)},
                                 {}, rng, message)
                         ? 0
                         : 1;
            }),
            0);
  EXPECT_EQ(old->store().begin().error().code, Errc::stale_epoch);
  Writer writer(*old);
  EXPECT_EQ(writer.set_published(9).error().code, Errc::stale_epoch);
  StateCopy copy;
  EXPECT_EQ(copy_state(*old, kCopyAll, copy).error().code, Errc::stale_epoch);
  auto now = open({scratch.path()}, message);
  ASSERT_TRUE(now) << message;
  EXPECT_EQ((*now)->epoch(), 2U);
  old.reset();
  ASSERT_TRUE(remove_old_epochs(scratch.path(), *lock));
  EXPECT_FALSE(std::filesystem::exists(scratch.path() + "/epoch.1"));
  EXPECT_TRUE(std::filesystem::exists(scratch.path() + "/epoch.2"));
}

TEST(Environment, NoEpochIsBuiltWhileASlotIsLocked) {
  ScratchDirectory scratch;
  auto slot = SlotLock::acquire(scratch.path(), 2);
  ASSERT_TRUE(slot);
  auto lock = EnvironmentLock::acquire(scratch.path());
  SeededRng rng(1);
  std::string message;
  EXPECT_EQ(build_epoch(build_options(scratch.path()), *lock, {}, {}, rng, message).error().code,
            Errc::conflict);
  slot->release();
  EXPECT_TRUE(build_epoch(build_options(scratch.path()), *lock, {}, {}, rng, message)) << message;
  EXPECT_EQ(build_epoch(build_options(scratch.path()), *lock, {}, {}, rng, message).error().code,
            Errc::conflict)
      << "the epoch in use is not built again";
}

TEST(Environment, WarmCheckTellsBootFromBoot) {
  ScratchDirectory scratch;
  EXPECT_FALSE(check_warm(scratch.path()).exists);
  BuildOptions options = build_options(scratch.path());
  build_and_open(options, 1, 1).reset();
  WarmCheck check = check_warm(scratch.path());
  EXPECT_TRUE(check.exists && check.same_boot && check.same_schema) << check.detail;
  EXPECT_FALSE(check.slot_locked);
  const std::string other = scratch.path() + "/boot";
  std::ofstream(other) << "00000000-1111-2222-3333-444444444444\n";
  check = check_warm(scratch.path(), other);
  EXPECT_TRUE(check.exists);
  EXPECT_FALSE(check.same_boot);
  auto slot = SlotLock::acquire(scratch.path(), 0);
  EXPECT_TRUE(check_warm(scratch.path()).slot_locked);
}

TEST(Environment, DamagedFilesAreErrorsNotCrashes) {
  ScratchDirectory scratch;
  build_and_open(build_options(scratch.path()), 1, 1).reset();
  const std::string boards = scratch.path() + "/epoch.1/boards";
  std::string message;
  ASSERT_EQ(truncate(boards.c_str(), 100), 0);
  EXPECT_EQ(open({scratch.path()}, message).error().code, Errc::corrupt) << message;
  std::ofstream(boards, std::ios::binary | std::ios::trunc) << std::string(8192, 'x');
  EXPECT_EQ(open({scratch.path()}, message).error().code, Errc::corrupt) << message;
}

// A hold is charged whole when its price is gone, but not because somebody had no descriptor left.
TEST(Environment, PricesThatCannotBeReadNowAreAnError) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path()), 1, 1000);
  ASSERT_NE(environment, nullptr);
  ASSERT_TRUE(PricesInForce::load(*environment)) << "no catalog yet";
  ASSERT_TRUE(Writer(*environment).set_catalog(1, "catalog.1", 7));
  const auto gone = PricesInForce::load(*environment);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->lookup().find(gone->lookup().context, 1), nullptr);
  std::ofstream(environment->epoch_directory() + "/catalog.1") << "no catalog at all";
  EXPECT_TRUE(PricesInForce::load(*environment)) << "damaged is as good as gone";

  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto now = PricesInForce::load(*environment);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(now);
  EXPECT_EQ(now.error().code, Errc::io);
}

TEST(Environment, AnEnvironmentThatCannotBeReadNowIsNotTakenForALostOne) {
  ScratchDirectory scratch;
  ASSERT_NE(build_and_open(build_options(scratch.path()), 1, 1000), nullptr);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const WarmCheck check = check_warm(scratch.path());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(check.exists);
  EXPECT_EQ(check.error.code, Errc::io);
  EXPECT_TRUE(check_warm(scratch.path()).exists);
  EXPECT_TRUE(probe(scratch.path()));
}

TEST(Environment, AReadLeavesNoReaderBehind) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path()), 10, 1);
  for (KeyId i = 1; i <= 10; ++i) ASSERT_TRUE(environment->find_key(digest_of(i)));
  // map_use counts its own transaction.
  EXPECT_LE(environment->map_use().value().readers, 1U);
  EXPECT_EQ(environment->check_readers().value(), 0);
}

TEST(Writer, PublishesAndIsIdempotentWhereItMust) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path()), 2, 1000);
  Writer writer(*environment);
  std::vector<WalletPublish> wallets;
  std::vector<KeyPublish> keys;
  for (std::uint64_t i = 10; i < 210; ++i) {
    WalletPublish wallet;
    wallet.wallet_id = i;
    wallets.push_back(wallet);
    KeyPublish key = key_snapshot(i, i).key;
    keys.push_back(key);
  }
  EXPECT_EQ(writer.publish_wallets(wallets).committed, 200U);
  EXPECT_EQ(writer.publish_keys(keys).committed, 200U);
  EXPECT_EQ(environment->find_key(digest_of(209)).value()->key_id, 209U);

  std::vector<DeltaVerb> deltas{{1, 1, 500}, {1, 2, -100}, {10, 1, 77}};
  EXPECT_EQ(writer.publish_deltas(deltas).committed, 3U);
  EXPECT_EQ(writer.publish_deltas(deltas).committed, 3U) << "twice does nothing";
  EXPECT_EQ(environment->find_wallet(1).value()->available, 1400);
  EXPECT_EQ(environment->find_wallet(10).value()->available, 77);
  EXPECT_TRUE(identity_holds(environment->find_wallet(1).value().value()));
  const std::vector<DeltaVerb> gap{{2, 1, 5}, {2, 3, 5}, {1, 3, 5}};
  const Writer::Published published = writer.publish_deltas(gap);
  EXPECT_EQ(published.committed, 1U);
  EXPECT_EQ(published.error.code, Errc::conflict);
  EXPECT_EQ(environment->find_wallet(2).value()->applied_no, 1U);

  keys[0].remove = true;
  EXPECT_EQ(writer.publish_keys(std::span(keys).first(1)).committed, 1U);
  EXPECT_EQ(environment->find_key(digest_of(10)).value(), std::nullopt);
}

TEST(Writer, GenerationsOnlyGoUp) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path()), 1, 1);
  Writer writer(*environment);
  EXPECT_EQ(environment->catalog_pointer().value().catalog_generation, 0U);
  const std::uint64_t txn = environment->last_txn();
  ASSERT_TRUE(writer.set_catalog(3, "catalog.3", 0xABC));
  EXPECT_GT(environment->last_txn(), txn);
  EXPECT_EQ(writer.set_catalog(3, "catalog.3", 0xABC).error().code, Errc::conflict);
  ASSERT_TRUE(writer.set_addresses(1, "addresses.1", 7));
  EXPECT_EQ(writer.set_catalog(4, "../x", 1).error().code, Errc::bad_value);
  const CatalogPointer pointer = environment->catalog_pointer().value();
  EXPECT_EQ(pointer.catalog_generation, 3U);
  EXPECT_STREQ(pointer.catalog_file.data(), "catalog.3");
  EXPECT_EQ(pointer.addresses_hash, 7U);
  ASSERT_TRUE(writer.set_published(10));
  ASSERT_TRUE(writer.set_published(9));
  EXPECT_EQ(environment->read_meta().value().published_generation, 10U);
}

}  // namespace
}  // namespace sluice::state
