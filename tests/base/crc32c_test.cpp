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

std::uint32_t bit_by_bit(const std::vector<unsigned char>& data, std::size_t bytes) {
  std::uint32_t crc = 0xffffffff;
  for (std::size_t i = 0; i < bytes; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

TEST(Crc32c, EveryLengthIsAsBitByBit) {
  std::vector<unsigned char> data(700);
  for (std::size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<unsigned char>(i * 7919 >> 3U);
  for (std::size_t bytes = 0; bytes <= data.size(); ++bytes) {
    ASSERT_EQ(crc32c(data.data(), bytes), bit_by_bit(data, bytes)) << bytes;
  }
}

}  // namespace
}  // namespace sluice
