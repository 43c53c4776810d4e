// Rows that a transaction keeps open: groups of verbs over LMDB, where they are kept, against the
// same verbs over plain tables, where each row is read and written at once.
#include "open_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "model.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::state {
namespace {

constexpr WalletId kWallets = 60;  // three rows each: more than are kept open

std::vector<AccountKey> account_keys() {
  std::vector<AccountKey> keys;
  for (WalletId id = 1; id <= kWallets; ++id) {
    keys.push_back(wallet_key(id));
    keys.push_back(counter_key(CounterKind::wallet, id, id));
    keys.push_back(counter_key(CounterKind::key, id, id));
  }
  return keys;
}

class Twins : public ::testing::Test {
 protected:
  void SetUp() override {
    environment_ = build_and_open(build_options(scratch_.path(), Model::kEpoch), kWallets, 20'000);
    ASSERT_NE(environment_, nullptr);
    Tables& tables = begin();
    for (const AccountKey& key : account_keys()) {
      const ByteSpan row = tables.get(Table::accounts, span_of(key)).value();
      ASSERT_FALSE(row.empty());
      ASSERT_TRUE(plain_.put(Table::accounts, span_of(key), row));
    }
    environment_->store().abort();
  }

  Tables& begin() { return *environment_->store().begin().value(); }

  /// One verb, the same for both.
  Result<Outcome> apply_verb(Tables& tables, std::uint64_t choice, std::uint64_t number) const {
    const HoldId hold(Model::kEpoch, Model::kSlot, 1 + number % (last_hold_ + 2));
    OutboxRecord record;
    switch (choice) {
      case 0:
        return apply(tables, ExtendVerb{hold, 40, 0, {5, 2}, {5, 2}});
      case 1:
        return apply(tables, VoidVerb{hold, number % 2 == 0 ? &record : nullptr});
      case 2:
        return apply(tables, SettleVerb{hold, price::split(150, 150, 0), &record});
      case 3:
        return apply(tables, ExpireVerb{hold, 4'000 * kSecond});
      case 4:
        return apply(tables, DeltaVerb{1 + number % kWallets, 1 + number % 2, 7});
      default: {
        const WalletId wallet = 1 + number % kWallets;
        const auto amount = 100 + static_cast<Nanos>(number % 9000);
        return apply(tables, Model::kSlot, Model::kEpoch, request(wallet, wallet, amount));
      }
    }
  }

  void apply_both(Tables& tables, std::uint64_t choice, std::uint64_t number) {
    const Result<Outcome> expected = apply_verb(plain_, choice, number);
    const Result<Outcome> got = apply_verb(tables, choice, number);
    ASSERT_EQ(got.has_value(), expected.has_value());
    if (!got) {
      EXPECT_EQ(got.error().code, expected.error().code);
      return;
    }
    EXPECT_EQ(got->verdict, expected->verdict);
    EXPECT_EQ(got->limit, expected->limit);
    EXPECT_EQ(got->hold, expected->hold);
    EXPECT_EQ(got->available, expected->available);
    EXPECT_EQ(got->outbox_seq, expected->outbox_seq);
    last_hold_ = std::max(last_hold_, got->hold.seq);
  }

  void expect_equal_rows() {
    Tables& tables = begin();
    for (const auto table : {Table::accounts, Table::slots, Table::holds, Table::outbox}) {
      for (const auto& [key, row] : plain_.map(table)) {
        const ByteSpan key_bytes = std::as_bytes(std::span(key));
        EXPECT_TRUE(
            std::ranges::equal(tables.get(table, key_bytes).value(), std::as_bytes(std::span(row))))
            << table_name(table);
      }
    }
    environment_->store().abort();
  }

  ScratchDirectory scratch_;
  std::unique_ptr<Environment> environment_;
  MemoryTables plain_;
  std::uint64_t last_hold_ = 0;
};

TEST_F(Twins, GroupsGiveWhatSingleVerbsGive) {
  SeededRng rng(5);
  for (int group = 0; group < 60 && !HasFailure(); ++group) {
    SCOPED_TRACE("group " + std::to_string(group));
    plain_.begin();
    Tables& tables = begin();
    const std::uint64_t before = last_hold_;
    // Up to far more verbs than a group has: the last rows find no room.
    for (std::uint64_t left = 1 + rng.next_u64() % 200; left > 0; --left) {
      const std::uint64_t choice = rng.next_u64() % 9;
      ASSERT_NO_FATAL_FAILURE(apply_both(tables, choice, rng.next_u64()));
    }
    if (group % 5 == 4) {
      environment_->store().abort();
      plain_.abort();
      last_hold_ = before;
    } else {
      ASSERT_TRUE(environment_->store().commit());
      plain_.commit();
    }
    expect_equal_rows();
  }
  EXPECT_GT(plain_.map(Table::outbox).size(), 100U);
}

// New keys between the rows that verbs have read: pages split, and rows come to lie elsewhere.
TEST_F(Twins, RowsThatMoveBeforeTheyAreWrittenAreWrittenWhereTheyAre) {
  std::vector<KeyPublish> keys(kMaxRowsPerTxn);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i].digest.fill(static_cast<std::uint8_t>(i + 1));
    keys[i].record.key_id = 1'000 + i;
    keys[i].record.wallet_id = 1 + i % kWallets;
  }
  const auto reserve_some = [&](Tables& tables) {
    for (std::uint64_t i = 0; i < 40; ++i) ASSERT_NO_FATAL_FAILURE(apply_both(tables, 8, i));
  };
  plain_.begin();
  Tables& tables = begin();
  reserve_some(tables);
  ASSERT_TRUE(apply_keys(plain_, keys));
  ASSERT_TRUE(apply_keys(tables, keys));
  reserve_some(tables);
  ASSERT_TRUE(environment_->store().commit());
  plain_.commit();
  expect_equal_rows();
}

TEST(OpenRows, WritesAChangedRowWhereItLiesUntilRowsMove) {
  OpenRows rows;
  MemoryTables tables;
  WalletRecord wallet;
  wallet.wallet_id = 7;
  const AccountKey key = wallet_key(7);
  const auto change = [&](Nanos available) {
    wallet.available = available;
    ASSERT_TRUE(rows.write(Table::accounts, span_of(key), wallet));
    ASSERT_TRUE(rows.flush(tables));
  };
  std::array<std::byte, sizeof(WalletRecord)> stored{};
  rows.keep(Table::accounts, span_of(key), wallet, stored.data());
  change(5);
  EXPECT_EQ(decode<WalletRecord>(stored)->available, 5);
  EXPECT_EQ(tables.writes(), 0U);
  rows.rows_moved();
  change(6);
  EXPECT_EQ(decode<WalletRecord>(stored)->available, 5);
  EXPECT_EQ(decode<WalletRecord>(tables.get(Table::accounts, span_of(key)).value())->available, 6);
}

TEST(OpenRows, WritesAChangedRowOnceAndAnUnchangedOneNever) {
  OpenRows rows;
  MemoryTables tables;
  WalletRecord wallet;
  wallet.wallet_id = 7;
  const AccountKey first = wallet_key(7);
  const AccountKey second = wallet_key(8);
  rows.keep(Table::accounts, span_of(first), wallet, nullptr);
  wallet.available = 5;
  ASSERT_TRUE(rows.write(Table::accounts, span_of(second), wallet));
  wallet.available = 6;
  ASSERT_TRUE(rows.write(Table::accounts, span_of(second), wallet));
  WalletRecord read;
  ASSERT_TRUE(rows.read(Table::accounts, span_of(second), read));
  EXPECT_EQ(read.available, 6);
  ASSERT_TRUE(rows.flush(tables));
  ASSERT_TRUE(rows.flush(tables));
  EXPECT_EQ(tables.writes(), 1U);
  EXPECT_EQ(decode<WalletRecord>(tables.get(Table::accounts, span_of(second)).value())->available,
            6);
  rows.clear();
  EXPECT_FALSE(rows.read(Table::accounts, span_of(second), read));
}

TEST(OpenRows, SaysWhenThereIsNoRoomAndPassesOnAFailedWrite) {
  OpenRows rows;
  WalletRecord wallet;
  for (WalletId id = 1; id <= OpenRows::kMost; ++id) {
    wallet.wallet_id = id;
    ASSERT_TRUE(rows.write(Table::accounts, span_of(wallet_key(id)), wallet));
  }
  EXPECT_FALSE(rows.write(Table::accounts, span_of(wallet_key(OpenRows::kMost + 1)), wallet));
  EXPECT_TRUE(rows.write(Table::accounts, span_of(wallet_key(1)), wallet)) << "is there already";
  MemoryTables tables;
  tables.fail_at(3);
  const Result<> flushed = rows.flush(tables);
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, Errc::full);
  EXPECT_EQ(tables.writes(), 3U) << "stops at the failure";
}

}  // namespace
}  // namespace sluice::state
