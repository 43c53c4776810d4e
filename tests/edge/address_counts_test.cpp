#include "address_counts.hpp"

#include <gtest/gtest.h>

namespace sluice::edge {
namespace {

AddressCounts::Address v4(std::uint8_t last) {
  return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last};
}

AddressCounts::Address v6(std::uint8_t network, std::uint8_t last) {
  return {0x20, 1, 0xd, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, last};
}

TEST(AddressCounts, EachAddressHasItsOwnLimitAndGetsItsPlacesBack) {
  AddressCounts counts(2);
  EXPECT_TRUE(counts.enter(v4(1)));
  EXPECT_TRUE(counts.enter(v4(1)));
  EXPECT_FALSE(counts.enter(v4(1)));
  EXPECT_TRUE(counts.enter(v4(2)));
  counts.leave(v4(1));
  EXPECT_TRUE(counts.enter(v4(1)));
  EXPECT_FALSE(counts.enter(v4(1)));
}

TEST(AddressCounts, ANetworkOf64BitsIsOneAddress) {
  AddressCounts counts(2);
  EXPECT_TRUE(counts.enter(v6(1, 1)));
  EXPECT_TRUE(counts.enter(v6(1, 2)));
  EXPECT_FALSE(counts.enter(v6(1, 3)));
  EXPECT_TRUE(counts.enter(v6(2, 1)));
}

TEST(AddressCounts, NothingIsKeptOfAddressesThatHaveGone) {
  AddressCounts counts(1);
  for (std::uint8_t i = 0; i < 200; ++i) {
    EXPECT_TRUE(counts.enter(v4(i)));
    counts.leave(v4(i));
  }
  EXPECT_EQ(counts.addresses(), 0U);
}

TEST(AddressCounts, WithoutALimitNothingIsCounted) {
  AddressCounts counts(0);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(counts.enter(v4(1)));
  EXPECT_EQ(counts.addresses(), 0U);
  counts.leave(v4(1));
}

}  // namespace
}  // namespace sluice::edge
