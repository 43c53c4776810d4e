#include "sluice/tls/key_hasher.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::tls {
namespace {

std::string hex(const Digest256& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4U];
    text += "0123456789abcdef"[byte & 0xfU];
  }
  return text;
}

// RFC 4231 §4.
TEST(HmacKeyHasher, MatchesPublishedVectors) {
  struct Case {
    std::vector<std::uint8_t> key;
    std::string data;
    std::string digest;
  };
  const Case cases[] = {
      {std::vector<std::uint8_t>(20, 0x0b), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {{'J', 'e', 'f', 'e'},
       "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::vector<std::uint8_t>(20, 0xaa), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {std::vector<std::uint8_t>(131, 0xaa),
       "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
  };
  for (const Case& one : cases) {
    const HmacKeyHasher hasher(one.key);
    EXPECT_EQ(hex(hasher.hash(one.data)), one.digest);
    EXPECT_EQ(hex(hasher.hash(one.data)), one.digest);  // the pads are as they were
  }
}

TEST(HmacKeyHasher, TakesEmptyInputs) {
  EXPECT_EQ(hex(HmacKeyHasher({}).hash("")),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

}  // namespace
}  // namespace sluice::tls
