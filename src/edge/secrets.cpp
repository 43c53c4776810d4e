#include "secrets.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "sluice/base/assert.hpp"

namespace sluice::edge {
namespace {

// The ledger stores sealed keys as base64 text.
std::vector<unsigned char> decode_base64(std::string_view text) {
  std::vector<unsigned char> bytes(text.size());
  std::size_t count = 0;
  if (sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &count,
                        nullptr, sodium_base64_VARIANT_ORIGINAL) != 0) {
    count = 0;
  }
  bytes.resize(count);
  return bytes;
}

}  // namespace

Result<Key256> read_secret_file(const std::string& path, std::string& message) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    message = path + ": " + std::strerror(errno);
    return fail(Errc::io, Source::self, Retry::no, errno);
  }
  struct stat info{};
  fstat(fd, &info);
  Key256 key{};
  const ssize_t got = read(fd, key.data(), key.size());
  ::close(fd);
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    message = path + ": others than its owner may read it (chmod 0400)";
    return fail(Errc::forbidden);
  }
  if (got != static_cast<ssize_t>(key.size()) || info.st_size != got) {
    message = path + ": must hold exactly 32 bytes";
    return fail(Errc::bad_value);
  }
  return key;
}

void OpenedKeys::Wipe::operator()(char* memory) const noexcept { sodium_free(memory); }

std::shared_ptr<const OpenedKeys> OpenedKeys::open(const state::Catalog& catalog,
                                                   const Key256& private_key) {
  SLUICE_ASSERT(sodium_init() >= 0);  // needed before the first locked allocation
  std::array<unsigned char, 32> public_key{};
  crypto_scalarmult_curve25519_base(public_key.data(), private_key.data());
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
  opened->memory_.reset(static_cast<char*>(sodium_malloc(total + 1)));
  if (!opened->memory_) throw std::bad_alloc();
  char* at = opened->memory_.get();
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    const auto& box = sealed[i];
    const bool ok = box.size() > crypto_box_curve25519xchacha20poly1305_SEALBYTES &&
                    crypto_box_curve25519xchacha20poly1305_seal_open(
                        reinterpret_cast<unsigned char*>(at), box.data(), box.size(),
                        public_key.data(), private_key.data()) == 0;
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
