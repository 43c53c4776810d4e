// CRC-32C (Castagnoli, RFC 3720 B.4) with the SSE 4.2 instruction.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

/// CRC of `bytes` bytes at `data`, continuing `seed` (0 to start). Record checks of the shared
/// state.
[[nodiscard]] std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t seed = 0);

}  // namespace sluice
