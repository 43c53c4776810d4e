#include "sluice/base/crc32c.hpp"

#include <immintrin.h>

#include <cstring>

namespace sluice {
namespace {

// A CRC instruction takes three cycles and one can start in each: three parts are read side by
// side, and the CRCs of the first two moved to where the third ends (V. Gopal et al., "Fast CRC
// Computation for iSCSI Polynomial Using CRC32 Instruction", Intel, 2011).
constexpr std::size_t kPartBytes = 64;
constexpr std::uint32_t kPolynomial = 0x82f63b78;  // CRC-32C, lowest bit first

/// x^power modulo the polynomial, lowest bit first.
consteval std::uint32_t power_of_x(std::size_t power) {
  std::uint32_t value = 0x80000000;
  for (std::size_t i = 0; i < power; ++i)
    value = value >> 1U ^ ((value & 1U) != 0 ? kPolynomial : 0);
  return value;
}

/// What multiplies a CRC so that the product, put into the last eight bytes read, counts `bytes`
/// bytes later: of the product's 64 bits the CRC instruction itself moves 33.
consteval std::uint32_t mover(std::size_t bytes) { return power_of_x(bytes * 8 - 33); }

std::uint64_t word_at(const unsigned char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

std::uint64_t moved(std::uint64_t crc, std::uint32_t by) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<std::int64_t>(crc)),
                                               _mm_cvtsi32_si128(static_cast<int>(by)), 0);
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
}

/// The CRC after three parts.
std::uint64_t three_parts(std::uint64_t crc, const unsigned char* at) {
  std::uint64_t second = 0;
  std::uint64_t third = 0;
  for (std::size_t i = 0; i < kPartBytes - 8; i += 8) {
    crc = _mm_crc32_u64(crc, word_at(at + i));
    second = _mm_crc32_u64(second, word_at(at + kPartBytes + i));
    third = _mm_crc32_u64(third, word_at(at + 2 * kPartBytes + i));
  }
  crc = _mm_crc32_u64(crc, word_at(at + kPartBytes - 8));
  second = _mm_crc32_u64(second, word_at(at + 2 * kPartBytes - 8));
  const std::uint64_t carried =
      moved(crc, mover(2 * kPartBytes)) ^ moved(second, mover(kPartBytes));
  return _mm_crc32_u64(third, word_at(at + 3 * kPartBytes - 8) ^ carried);
}

}  // namespace

std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t seed) {
  const auto* at = static_cast<const unsigned char*>(data);
  std::uint64_t crc = ~seed;
  for (; bytes >= 3 * kPartBytes; bytes -= 3 * kPartBytes, at += 3 * kPartBytes)
    crc = three_parts(crc, at);
  for (; bytes >= 8; bytes -= 8, at += 8) crc = _mm_crc32_u64(crc, word_at(at));
  auto crc_low = static_cast<std::uint32_t>(crc);
  for (; bytes > 0; --bytes, ++at) crc_low = _mm_crc32_u8(crc_low, *at);
  return ~crc_low;
}

}  // namespace sluice
