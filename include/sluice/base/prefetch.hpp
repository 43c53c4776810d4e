// Asks for memory that is used soon: where thousands of connections take turns, the first touch of
// each is a miss, and misses that overlap cost as much as one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

/// Every line that `bytes` from `memory` on lie in. Never faults, whatever the address is.
inline void prefetch(const void* memory, std::size_t bytes) noexcept {
  constexpr std::uintptr_t kLine = 64;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  for (std::uintptr_t at = begin & ~(kLine - 1); at < begin + bytes; at += kLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(at));  // NOLINT(performance-no-int-to-ptr)
  }
}

}  // namespace sluice
