// Caps on what a peer may send. One small struct of http's own, passed by const reference.
#pragma once

#include <cstdint>

namespace sluice::http {

/// More fields than this are never stored: the parsers' field table is an array of this size.
inline constexpr std::uint32_t kMaxFields = 128;
/// Offsets inside a head are 16 bits wide.
inline constexpr std::uint32_t kMaxHeadBytes = 65535;
/// A field name longer than this is refused as head_too_large (CVE-2021-40346: an 8-bit length
/// wrapped).
inline constexpr std::uint32_t kMaxFieldNameBytes = 128;

struct Limits {
  std::uint32_t head_bytes = 16 * 1024;  ///< first line to empty line; <= kMaxHeadBytes
  std::uint32_t fields = 100;            ///< <= kMaxFields
  std::uint32_t target_bytes = 8 * 1024;
  std::uint64_t body_bytes = 32ULL * 1024 * 1024;  ///< decoded body

  /// What an upstream may send: 64 KiB of head, 128 fields, no cap on the body.
  [[nodiscard]] static constexpr Limits upstream() {
    return {.head_bytes = kMaxHeadBytes,
            .fields = kMaxFields,
            .target_bytes = 0,
            .body_bytes = UINT64_MAX};
  }
};

}  // namespace sluice::http
