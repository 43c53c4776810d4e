// How wolfSSL reads and writes ciphertext: from the caller's span, into the caller's outbox.
#pragma once

#include <cstddef>
#include <span>
#include <string>

struct WOLFSSL;

namespace sluice::tls {

struct Outbox;

namespace detail {

/// What one call of the engine lends to wolfSSL.
struct Wire {
  std::span<const char> in;
  Outbox* out;
  std::string* spill;  ///< takes what the outbox cannot: wolfSSL is never told to wait with a write
  std::size_t written_bytes = 0;
  const char* refusal = nullptr;  ///< set by the judge of certificates when it refuses one
};

/// wolfSSL's callbacks; `wire` is a Wire.
int read_from_wire(WOLFSSL* ssl, char* to, int bytes, void* wire);
int write_to_wire(WOLFSSL* ssl, char* from, int bytes, void* wire);

}  // namespace detail
}  // namespace sluice::tls
