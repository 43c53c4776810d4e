#include "sluice/control/webhook.hpp"

#include <sodium.h>

#include <array>

#include "sluice/base/assert.hpp"

namespace sluice::control {
namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr std::size_t kLeastBytes = 24;
constexpr std::size_t kMostBytes = 64;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Outcome<std::string> webhook_key(std::string_view secret) {
  std::string key(secret);
  if (secret.starts_with(kPrefix)) {
    secret.remove_prefix(kPrefix.size());
    std::size_t size = 0;
    if (sodium_base642bin(reinterpret_cast<unsigned char*>(key.data()), key.size(), secret.data(),
                          secret.size(), nullptr, &size, nullptr,
                          sodium_base64_VARIANT_ORIGINAL) != 0) {
      return problem(Errc::bad_value, "behind whsec_ must stand base64");
    }
    key.resize(size);
  }
  if (key.size() < kLeastBytes || key.size() > kMostBytes)
    return problem(Errc::bad_value, "must be a secret of 24 to 64 bytes");
  return key;
}

std::string webhook_signature(std::string_view key, std::string_view id, std::string_view timestamp,
                              std::string_view body) {
  SLUICE_ASSERT(key.size() >= kLeastBytes);
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, bytes_of(key), key.size());
  for (const std::string_view part :
       {id, std::string_view("."), timestamp, std::string_view("."), body})
    crypto_auth_hmacsha256_update(&state, bytes_of(part), part.size());
  std::array<unsigned char, crypto_auth_hmacsha256_BYTES> mac{};
  crypto_auth_hmacsha256_final(&state, mac.data());
  std::array<char, sodium_base64_ENCODED_LEN(crypto_auth_hmacsha256_BYTES,
                                             sodium_base64_VARIANT_ORIGINAL)>
      text{};
  sodium_bin2base64(text.data(), text.size(), mac.data(), mac.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  return std::string("v1,") + text.data();
}

}  // namespace sluice::control
