#include "sluice/base/crc32c.hpp"

#include <nmmintrin.h>

#include <cstring>

namespace sluice {

std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t seed) {
  const auto* at = static_cast<const unsigned char*>(data);
  std::uint64_t crc = ~seed;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    crc = _mm_crc32_u64(crc, word);
  }
  auto crc_low = static_cast<std::uint32_t>(crc);
  for (; bytes > 0; --bytes, ++at) crc_low = _mm_crc32_u8(crc_low, *at);
  return ~crc_low;
}

}  // namespace sluice
