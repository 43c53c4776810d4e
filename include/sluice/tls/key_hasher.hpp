// HMAC-SHA-256 over client keys, with both pads hashed ahead: the edge's implementation of
// sluice::KeyHasher.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "sluice/base/crypto.hpp"

namespace sluice::tls {

/// Owner: a shard; not for two threads at a time. The state that holds the pepper's pads is wiped
/// at the end.
class HmacKeyHasher final : public KeyHasher {
 public:
  /// `pepper`: any length; 32 bytes is usual. The bytes are not kept.
  explicit HmacKeyHasher(std::span<const std::uint8_t> pepper);
  ~HmacKeyHasher() override;
  HmacKeyHasher(const HmacKeyHasher&) = delete;
  HmacKeyHasher& operator=(const HmacKeyHasher&) = delete;

  /// HMAC-SHA-256(pepper, api_key) (FIPS 198-1, RFC 2104). Does not allocate.
  [[nodiscard]] Digest256 hash(std::string_view api_key) const override;

 private:
  struct Pads;
  std::unique_ptr<Pads> pads_;
};

}  // namespace sluice::tls
