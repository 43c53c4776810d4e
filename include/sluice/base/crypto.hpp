// Keyed hash behind an interface: the edge implements it with wolfSSL, the control side with
// libsodium.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

/// Length of a client key: "sk-", 43 random characters and 6 of a check, all base62.
inline constexpr std::size_t kClientKeyChars = 52;

using Digest256 = std::array<std::uint8_t, 32>;

class KeyHasher {
 public:
  virtual ~KeyHasher() = default;
  /// HMAC-SHA-256(pepper, api_key): the name under which a client key is stored (FIPS 198-1).
  [[nodiscard]] virtual Digest256 hash(std::string_view api_key) const = 0;
};

}  // namespace sluice
