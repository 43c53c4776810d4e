#include "sluice/tls/ticket_keys.hpp"

#include <algorithm>
#include <cstring>

#include "sluice/base/random.hpp"
#include "wolfssl.hpp"
// Behind wolfssl.hpp: it brings the options that these need.
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/sha256.h>

namespace sluice::tls {
namespace {

constexpr std::size_t kNonceBytes = 12;  // of the room for the initialisation vector
constexpr std::size_t kTagBytes = 16;    // of the room for the code

std::array<std::uint8_t, TicketKeys::kNameBytes> name_of(const TicketKeys::Key& key) {
  std::array<std::uint8_t, WC_SHA256_DIGEST_SIZE> digest{};
  wc_Sha256Hash(key.data(), static_cast<word32>(key.size()), digest.data());
  std::array<std::uint8_t, TicketKeys::kNameBytes> name{};
  std::copy_n(digest.begin(), name.size(), name.begin());
  return name;
}

/// A cipher with its key for the length of one ticket.
struct Cipher {
  explicit Cipher(const TicketKeys::Key& key)
      : ready(wc_AesInit(&aes, nullptr, INVALID_DEVID) == 0 &&
              wc_AesGcmSetKey(&aes, key.data(), static_cast<word32>(key.size())) == 0) {}
  ~Cipher() {
    wc_AesFree(&aes);
    explicit_bzero(&aes, sizeof aes);
  }
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;
  Aes aes{};
  bool ready;
};

}  // namespace

TicketKeys::TicketKeys() {
  Key random{};
  system_rng().fill(random);
  rotate(random);
  previous_ = current_;
  explicit_bzero(random.data(), random.size());
}

TicketKeys::~TicketKeys() {
  explicit_bzero(&current_, sizeof current_);
  explicit_bzero(&previous_, sizeof previous_);
}

void TicketKeys::rotate(const Key& key) {
  previous_ = current_;
  current_ = {key, name_of(key)};
}

bool TicketKeys::seal(std::span<std::uint8_t, kNameBytes> name,
                      std::span<std::uint8_t, kIvBytes> iv, std::span<std::uint8_t, kMacBytes> mac,
                      std::span<std::uint8_t> ticket) {
  std::ranges::copy(current_.name, name.begin());
  std::ranges::fill(iv, std::uint8_t{0});
  std::ranges::fill(mac, std::uint8_t{0});
  system_rng().fill(iv.first(kNonceBytes));
  Cipher cipher(current_.key);
  return cipher.ready &&
         wc_AesGcmEncrypt(&cipher.aes, ticket.data(), ticket.data(),
                          static_cast<word32>(ticket.size()), iv.data(), kNonceBytes, mac.data(),
                          kTagBytes, name.data(), kNameBytes) == 0;
}

TicketKeys::Opened TicketKeys::open(std::span<const std::uint8_t, kNameBytes> name,
                                    std::span<const std::uint8_t, kIvBytes> iv,
                                    std::span<const std::uint8_t, kMacBytes> mac,
                                    std::span<std::uint8_t> ticket) {
  const bool is_current = std::ranges::equal(name, current_.name);
  if (!is_current && !std::ranges::equal(name, previous_.name)) return Opened::no;
  Cipher cipher(is_current ? current_.key : previous_.key);
  if (!cipher.ready || wc_AesGcmDecrypt(&cipher.aes, ticket.data(), ticket.data(),
                                        static_cast<word32>(ticket.size()), iv.data(), kNonceBytes,
                                        mac.data(), kTagBytes, name.data(), kNameBytes) != 0) {
    return Opened::no;
  }
  return is_current ? Opened::yes : Opened::with_old_key;
}

}  // namespace sluice::tls
