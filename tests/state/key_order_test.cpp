#include "key_order.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace sluice::state {
namespace {

int sign(int value) { return (value > 0) - (value < 0); }

/// Keys that are equal up to a random place, so that every word decides once.
template <std::size_t Bytes>
void is_the_order_of_bytes() {
  std::mt19937_64 random(Bytes);
  for (int i = 0; i < 20'000; ++i) {
    std::array<std::byte, Bytes> a;
    for (std::byte& byte : a) byte = static_cast<std::byte>(random());
    std::array<std::byte, Bytes> b = a;
    for (std::size_t at = random() % (Bytes + 1); at < Bytes; ++at) {
      b[at] = static_cast<std::byte>(random());
    }
    const int expected = sign(std::memcmp(a.data(), b.data(), Bytes));
    for (const auto compare :
         {&compare_keys<Bytes, Search::waits>, &compare_keys<Bytes, Search::guesses>}) {
      ASSERT_EQ(compare(a.data(), b.data()), expected);
      ASSERT_EQ(compare(b.data(), a.data()), -expected);
      ASSERT_EQ(compare(a.data(), a.data()), 0);
    }
  }
}

TEST(KeyOrder, IsTheOrderOfBytes) {
  is_the_order_of_bytes<8>();
  is_the_order_of_bytes<12>();
  is_the_order_of_bytes<17>();
  is_the_order_of_bytes<20>();
  is_the_order_of_bytes<24>();
  is_the_order_of_bytes<32>();
}

}  // namespace
}  // namespace sluice::state
