#include "sluice/base/crc32c.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <string_view>
#include <vector>

namespace sluice {
namespace {

// RFC 3720 appendix B.4 and the "123456789" check value of the CRC catalogue.
TEST(Crc32c, MatchesPublishedVectors) {
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283U);
  const std::vector<unsigned char> zeros(32, 0);
  EXPECT_EQ(crc32c(zeros.data(), zeros.size()), 0x8a9136aaU);
  std::vector<unsigned char> rising(32);
  std::iota(rising.begin(), rising.end(), static_cast<unsigned char>(0));
  EXPECT_EQ(crc32c(rising.data(), rising.size()), 0x46dd794eU);
}

TEST(Crc32c, ContinuesAcrossPieces) {
  constexpr std::string_view text = "the quick brown fox jumps over the lazy dog";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const auto head = crc32c(text.data(), cut);
    EXPECT_EQ(crc32c(text.data() + cut, text.size() - cut, head), crc32c(text.data(), text.size()));
  }
}

}  // namespace
}  // namespace sluice
