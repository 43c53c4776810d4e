// The order of keys of one length: that of their bytes, as LMDB's own, by words. A verb compares
// keys fifty times.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice::state {

/// The eight bytes at `at` as a number that is ordered as they are.
inline std::uint64_t ordered_word(const std::byte* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return std::byteswap(word);
}

/// < 0, 0 or > 0 as memcmp. `Bytes`: of both, at least 8.
template <std::size_t Bytes>
int compare_keys(const std::byte* a, const std::byte* b) {
  static_assert(Bytes >= 8);
  for (std::size_t i = 0; i < Bytes; i += 8) {
    const std::size_t at = std::min(i, Bytes - 8);  // the last word may begin within the one before
    const std::uint64_t left = ordered_word(a + at);
    const std::uint64_t right = ordered_word(b + at);
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}

}  // namespace sluice::state
