// Asks for memory that is used soon: where thousands of connections take turns, the first touch of
// each is a miss, and misses that overlap cost as much as one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

enum class Access : std::uint8_t { read, write };

/// Every line that `bytes` from `memory` on lie in. Never faults, whatever the address is.
template <Access For = Access::read>
void prefetch(const void* memory, std::size_t bytes) noexcept {
  constexpr std::size_t kLine = 64;
  const std::size_t into_line = reinterpret_cast<std::uintptr_t>(memory) % kLine;
  const char* const first = static_cast<const char*>(memory) - into_line;
  for (std::size_t at = 0; at < into_line + bytes; at += kLine) {
    __builtin_prefetch(first + at, For == Access::write ? 1 : 0);
  }
}

}  // namespace sluice
