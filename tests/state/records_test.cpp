#include "sluice/state/records.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "sluice/base/random.hpp"

namespace sluice::state {
namespace {

HoldRecord good_hold() {
  HoldRecord hold;
  hold.wallet_id = 3;
  hold.key_id = 4;
  hold.amount = 1234;
  hold.request_id = {1, 2, 3};
  return hold;
}

std::vector<std::byte> stored(HoldRecord hold) {
  const ByteSpan bytes = encode(hold);
  return {bytes.begin(), bytes.end()};
}

TEST(Records, RoundTrip) {
  const std::vector<std::byte> bytes = stored(good_hold());
  const Result<HoldRecord> back = decode<HoldRecord>(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->amount, 1234);
  EXPECT_EQ(back->request_id, good_hold().request_id);
}

TEST(Records, EveryFlippedBitIsCorruptAndNothingElse) {
  const std::vector<std::byte> good = stored(good_hold());
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::vector<std::byte> bad = good;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    const Result<HoldRecord> back = decode<HoldRecord>(bad);
    ASSERT_FALSE(back) << bit;
    EXPECT_EQ(back.error().code, Errc::corrupt);
  }
}

TEST(Records, EveryOtherLengthIsCorrupt) {
  const std::vector<std::byte> good = stored(good_hold());
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes) {
    EXPECT_FALSE(decode<HoldRecord>(ByteSpan(good).first(bytes)));
  }
  std::vector<std::byte> longer = good;
  longer.push_back({});
  EXPECT_FALSE(decode<HoldRecord>(longer));
  EXPECT_FALSE(decode<HoldRecord>({}));
}

TEST(Records, AValueThatCannotBeIsCorruptAlthoughItsCrcIsRight) {
  HoldRecord negative = good_hold();
  negative.amount = -1;
  EXPECT_FALSE(decode<HoldRecord>(stored(negative)));
  HoldRecord odd = good_hold();
  odd.state = static_cast<HoldState>(9);
  EXPECT_FALSE(decode<HoldRecord>(stored(odd)));
  HoldRecord nobody = good_hold();
  nobody.wallet_id = 0;
  EXPECT_FALSE(decode<HoldRecord>(stored(nobody)));
}

OutboxRecord good_usage() {
  OutboxRecord usage;
  usage.hold = HoldId(1, 2, 3);
  usage.upstream_cost = 77;
  return usage;
}

// Most requests have no label and no failed attempt: their rows end before those.
TEST(Records, AUsageRecordIsStoredAsFarAsItSaysSomething) {
  const auto size = [](const OutboxRecord& usage) {
    OutboxRecord copy = usage;
    const ByteSpan bytes = encode(copy);
    const Result<OutboxRecord> back = decode<OutboxRecord>(bytes);
    EXPECT_TRUE(back);
    EXPECT_EQ(std::memcmp(&*back, &copy, sizeof(copy)), 0);
    return bytes.size();
  };
  OutboxRecord usage = good_usage();
  EXPECT_EQ(size(usage), offsetof(OutboxRecord, failed));
  usage.failed[1].status = 429;
  EXPECT_EQ(size(usage), offsetof(OutboxRecord, failed) + sizeof(FailedAttempt) + 16);
  usage.tags[0] = 'a';
  EXPECT_EQ(size(usage), offsetof(OutboxRecord, tags) + 8);
  usage.tags.back() = 'z';
  EXPECT_EQ(size(usage), sizeof(OutboxRecord));
}

TEST(Records, AUsageRecordOfAnotherLengthIsCorrupt) {
  OutboxRecord usage = good_usage();
  usage.tags[3] = 'x';
  const ByteSpan whole = encode(usage);
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_FALSE(decode<OutboxRecord>(whole.first(bytes))) << bytes;
  }
  std::vector<std::byte> longer(whole.begin(), whole.end());
  longer.resize(sizeof(OutboxRecord));
  EXPECT_FALSE(decode<OutboxRecord>(longer)) << "the header says how long it is";
}

TEST(Records, OneTableIsNotTakenForAnother) {
  static_assert(sizeof(SlotRecord) != sizeof(HoldRecord));
  WalletRecord wallet;
  wallet.wallet_id = 1;
  const ByteSpan bytes = encode(wallet);
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  EXPECT_TRUE(decode<WalletRecord>(copy));
  EXPECT_FALSE(decode<KeyRecord>(copy));
  EXPECT_FALSE(decode<CounterRecord>(copy));
}

TEST(Records, KeysSortAsTheirNumbers) {
  const HoldKey a = hold_key({1, 2, 255});
  const HoldKey b = hold_key({1, 2, 256});
  const HoldKey c = hold_key({1, 3, 0});
  const HoldKey d = hold_key({2, 0, 0});
  EXPECT_LT(std::memcmp(a.data(), b.data(), a.size()), 0);
  EXPECT_LT(std::memcmp(b.data(), c.data(), a.size()), 0);
  EXPECT_LT(std::memcmp(c.data(), d.data(), a.size()), 0);
  EXPECT_EQ(parse_hold_key(b).value(), HoldId(1, 2, 256));
  EXPECT_EQ(parse_outbox_key(outbox_key(7, 1ULL << 40)).value(), (OutboxId{7, 1ULL << 40}));
  EXPECT_FALSE(parse_hold_key(ByteSpan(a).first(19)));
  // A wallet, its counters and those of its keys lie side by side, before the next wallet.
  EXPECT_LT(wallet_key(5), counter_key(CounterKind::wallet, 5, 5));
  EXPECT_LT(counter_key(CounterKind::wallet, 5, 5), counter_key(CounterKind::key, 5, 1));
  EXPECT_LT(counter_key(CounterKind::key, 5, 255), counter_key(CounterKind::key, 5, 256));
  EXPECT_LT(counter_key(CounterKind::key, 5, ~0ULL), wallet_key(6));
}

}  // namespace
}  // namespace sluice::state
