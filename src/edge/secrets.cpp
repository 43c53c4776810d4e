#include "secrets.hpp"

#include <sodium.h>

#include <algorithm>
#include <new>

#include "sluice/base/assert.hpp"

namespace sluice::edge {
namespace {

// The ledger stores sealed keys as base64 text.
std::vector<unsigned char> decode_base64(std::string_view text) {
  if (text.empty()) return {};  // a channel without proxy
  std::vector<unsigned char> bytes(text.size());
  std::size_t count = 0;
  if (sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &count,
                        nullptr, sodium_base64_VARIANT_ORIGINAL) != 0) {
    count = 0;
  }
  bytes.resize(count);
  return bytes;
}

/// A pair as the box wants it.
struct Pair {
  const Key256& private_key;
  std::array<unsigned char, crypto_box_curve25519xchacha20poly1305_PUBLICKEYBYTES> public_key{};
};

bool open_box(std::span<const Pair> pairs, const std::vector<unsigned char>& box, char* out) {
  if (box.size() <= crypto_box_curve25519xchacha20poly1305_SEALBYTES) return false;
  return std::ranges::any_of(pairs, [&](const Pair& pair) {
    return crypto_box_curve25519xchacha20poly1305_seal_open(
               reinterpret_cast<unsigned char*>(out), box.data(), box.size(),
               pair.public_key.data(), pair.private_key.data()) == 0;
  });
}

/// Locked, outside of core dumps, and ended by a page that may not be touched.
void* secret_memory(std::size_t bytes) {
  SLUICE_ASSERT(sodium_init() >= 0);  // needed before the first locked allocation
  void* const memory = sodium_malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// sodium_malloc() aligns the end of what it gives, not the start.
LockedRing::LockedRing(const KeyRing& ring)
    : ring_(new(secret_memory(sizeof(KeyRing))) KeyRing(ring)) {
  static_assert(sizeof(KeyRing) % alignof(KeyRing) == 0);
}

void LockedRing::Free::operator()(KeyRing* ring) const noexcept {
  ring->~KeyRing();
  sodium_free(ring);
}

void OpenedKeys::Wipe::operator()(char* memory) const noexcept { sodium_free(memory); }

std::shared_ptr<const OpenedKeys> OpenedKeys::open(const state::Catalog& catalog,
                                                   const KeyRing& private_keys) {
  std::vector<Pair> pairs;
  for (const KeyRing::Entry& entry : private_keys.entries()) {
    pairs.push_back({entry.key});
    crypto_scalarmult_curve25519_base(pairs.back().public_key.data(), entry.key.data());
  }
  // Keys at their places, then the credentials of each channel's proxy.
  std::vector<std::vector<unsigned char>> sealed;
  for (const state::ChannelEntry& channel : catalog.channels()) {
    for (const state::ChannelKeyEntry& key : catalog.keys(channel)) {
      const std::size_t place =
          channel.first_key + static_cast<std::size_t>(&key - catalog.keys(channel).data());
      if (place >= sealed.size()) sealed.resize(place + 1);
      sealed[place] = decode_base64(catalog.text(key.sealed));
    }
  }
  const std::size_t keys = sealed.size();
  for (const state::ChannelEntry& channel : catalog.channels())
    sealed.push_back(decode_base64(catalog.text(channel.proxy_credentials)));
  std::size_t total = 0;
  for (const auto& box : sealed) total += box.size();
  std::shared_ptr<OpenedKeys> opened(new OpenedKeys());
  opened->memory_.reset(static_cast<char*>(secret_memory(total + 1)));
  char* at = opened->memory_.get();
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    const auto& box = sealed[i];
    const bool ok = open_box(pairs, box, at);
    const std::size_t bytes =
        ok ? box.size() - crypto_box_curve25519xchacha20poly1305_SEALBYTES : 0;
    const bool none = i >= keys && catalog.channels()[i - keys].proxy_credentials.bytes == 0;
    if (!ok && !none) ++opened->failures_;
    (i < keys ? opened->keys_ : opened->proxy_credentials_).emplace_back(at, bytes);
    at += bytes;
  }
  sodium_mprotect_readonly(opened->memory_.get());
  return opened;
}

}  // namespace sluice::edge
