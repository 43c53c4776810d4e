// Addresses that ask with keys that there are not.
#include "sluice/relay/unknown_keys.hpp"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using Address = UnknownKeys::Address;

constexpr std::uint32_t kAMinute = 60;
constexpr TimeNs kStartNs = 1'000 * kSecond;

Address v4(std::uint32_t number) {
  return {0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0xff,
          0xff,
          192,
          static_cast<std::uint8_t>(number >> 16U),
          static_cast<std::uint8_t>(number >> 8U),
          static_cast<std::uint8_t>(number)};
}

Address v6(std::uint8_t network, std::uint8_t last) {
  return {0x20, 1, 0xd, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, last};
}

Digest256 key(std::uint8_t number) {
  Digest256 digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::uint8_t>(number * 31 + i * 7);
  }
  return digest;
}

/// Unknown keys that are looked up of `asked`, all at once.
int looked_up(UnknownKeys& keys, const Address& address, int asked, TimeNs now_ns) {
  int count = 0;
  for (int i = 0; i < asked; ++i) {
    if (keys.wait_ns(address, key(1), now_ns) != 0) continue;
    keys.note_unknown(address, now_ns);
    ++count;
  }
  return count;
}

TEST(UnknownKeys, SoManyAMinuteAndNoMore) {
  UnknownKeys keys(kAMinute, 7);
  EXPECT_EQ(looked_up(keys, v4(1), 1000, kStartNs), 60);
  EXPECT_EQ(keys.wait_ns(v4(1), key(1), kStartNs), kSecond);
  EXPECT_EQ(looked_up(keys, v4(1), 1000, kStartNs + 10 * kSecond), 10) << "one comes back a second";
  EXPECT_EQ(looked_up(keys, v4(1), 1000, kStartNs + 200 * kSecond), 60);
}

TEST(UnknownKeys, AnAddressIsNotConcernedByAnother) {
  UnknownKeys keys(kAMinute, 7);
  EXPECT_EQ(looked_up(keys, v4(1), 100, kStartNs), 60);
  EXPECT_EQ(looked_up(keys, v4(2), 100, kStartNs), 60);
}

TEST(UnknownKeys, ANetworkOf64BitsIsOneAddress) {
  UnknownKeys keys(kAMinute, 7);
  int count = 0;
  for (std::uint8_t i = 0; i < 100; ++i) count += looked_up(keys, v6(1, i), 1, kStartNs);
  EXPECT_EQ(count, 60);
  EXPECT_EQ(looked_up(keys, v6(2, 1), 100, kStartNs), 60);
}

TEST(UnknownKeys, AKeyThatWasGoodFromThereGoesOn) {
  UnknownKeys keys(kAMinute, 7);
  keys.note_good(v4(1), key(9));
  keys.note_good(v4(2), key(8));
  EXPECT_EQ(looked_up(keys, v4(1), 100, kStartNs), 60);
  EXPECT_EQ(keys.wait_ns(v4(1), key(9), kStartNs), 0);
  EXPECT_GT(keys.wait_ns(v4(1), key(8), kStartNs), 0) << "it was good from elsewhere";
  EXPECT_GT(keys.wait_ns(v4(1), key(7), kStartNs), 0);
  keys.note_good(v4(1), key(7));
  EXPECT_EQ(keys.wait_ns(v4(1), key(7), kStartNs), 0);
}

TEST(UnknownKeys, GoodKeysAreNeverLimited) {
  UnknownKeys keys(1, 7);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(keys.wait_ns(v4(1), key(1), kStartNs), 0);
    keys.note_good(v4(1), key(1));
  }
}

TEST(UnknownKeys, ManyAddressesStayWithinTheTableAndTheWorstStaysInIt) {
  UnknownKeys keys(kAMinute, 7);
  EXPECT_EQ(looked_up(keys, v4(1), 100, kStartNs), 60);
  for (std::uint32_t i = 2; i < 200'000; ++i) keys.note_unknown(v4(i), kStartNs + kSecond / 2);
  EXPECT_EQ(looked_up(keys, v4(1), 100, kStartNs + kSecond / 2), 0);
}

TEST(UnknownKeys, WithoutALimitNothingIsRefused) {
  UnknownKeys keys(0, 7);
  EXPECT_EQ(looked_up(keys, v4(1), 10'000, kStartNs), 10'000);
  keys.note_good(v4(1), key(1));
}

}  // namespace
}  // namespace sluice::relay
