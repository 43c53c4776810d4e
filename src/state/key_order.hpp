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

/// How a search goes on while it waits for the memory of a key. In a table that is mostly in the
/// cache the answer is there at once, and a branch that is taken wrongly costs more than it. In one
/// that is not, a branch lets the processor ask for the next key of the search before it has the
/// one that it compares: right every other time.
enum class Search : std::uint8_t { waits, guesses };

/// < 0, 0 or > 0 as memcmp. `Bytes`: of both, at least 8.
template <std::size_t Bytes, Search For = Search::waits>
int compare_keys(const std::byte* a, const std::byte* b) {
  static_assert(Bytes >= 8);
  for (std::size_t i = 0; i < Bytes; i += 8) {
    const std::size_t at = std::min(i, Bytes - 8);  // the last word may begin within the one before
    const std::uint64_t left = ordered_word(a + at);
    const std::uint64_t right = ordered_word(b + at);
    if (left == right) continue;
    if constexpr (For == Search::waits) return left < right ? -1 : 1;
    if (left < right) {
      asm volatile("");  // what the compiler must not compute without a branch
      return -1;
    }
    asm volatile("");
    return 1;
  }
  return 0;
}

}  // namespace sluice::state
