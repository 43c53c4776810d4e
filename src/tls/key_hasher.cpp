#include "sluice/tls/key_hasher.hpp"

#include <cstring>

#include "wolfssl.hpp"
// After wolfssl.hpp, which brings the options.
#include <wolfssl/wolfcrypt/sha256.h>

#include "sluice/base/assert.hpp"

namespace sluice::tls {
namespace {

constexpr std::size_t kBlockBytes = WC_SHA256_BLOCK_SIZE;

void update(wc_Sha256& hash, std::span<const std::uint8_t> bytes) {
  const int result = wc_Sha256Update(&hash, bytes.data(), static_cast<word32>(bytes.size()));
  SLUICE_ASSERT(result == 0);  // fails for null pointers only
}

void finish(wc_Sha256& hash, std::span<std::uint8_t, WC_SHA256_DIGEST_SIZE> digest) {
  const int result = wc_Sha256Final(&hash, digest.data());
  SLUICE_ASSERT(result == 0);
}

wc_Sha256 start_with(std::span<const std::uint8_t> block) {
  wc_Sha256 hash;
  const int result = wc_InitSha256(&hash);
  SLUICE_ASSERT(result == 0);
  update(hash, block);
  return hash;
}

}  // namespace

// In this build a wc_Sha256 is plain data without pointers to itself: a copy goes on from where the
// original was.
static_assert(std::is_trivially_copyable_v<wc_Sha256>);
struct HmacKeyHasher::Pads {
  wc_Sha256 inner;
  wc_Sha256 outer;
};

HmacKeyHasher::HmacKeyHasher(std::span<const std::uint8_t> pepper)
    : pads_(std::make_unique<Pads>()) {
  std::array<std::uint8_t, kBlockBytes> key{};
  if (pepper.size() > kBlockBytes) {
    wc_Sha256 hash = start_with(pepper);
    finish(hash, std::span(key).first<WC_SHA256_DIGEST_SIZE>());
  } else if (!pepper.empty()) {
    std::memcpy(key.data(), pepper.data(), pepper.size());
  }
  std::array<std::uint8_t, kBlockBytes> pad{};
  for (std::size_t i = 0; i < kBlockBytes; ++i) pad[i] = key[i] ^ 0x36U;
  pads_->inner = start_with(pad);
  for (std::size_t i = 0; i < kBlockBytes; ++i) pad[i] = key[i] ^ 0x5cU;
  pads_->outer = start_with(pad);
  explicit_bzero(key.data(), key.size());
  explicit_bzero(pad.data(), pad.size());
}

HmacKeyHasher::~HmacKeyHasher() { explicit_bzero(pads_.get(), sizeof(Pads)); }

Digest256 HmacKeyHasher::hash(std::string_view api_key) const {
  Digest256 digest;
  wc_Sha256 hash = pads_->inner;
  update(hash, {reinterpret_cast<const std::uint8_t*>(api_key.data()), api_key.size()});
  finish(hash, digest);
  hash = pads_->outer;
  update(hash, digest);
  finish(hash, digest);
  explicit_bzero(&hash, sizeof hash);  // it had the end of the key in it
  return digest;
}

}  // namespace sluice::tls
