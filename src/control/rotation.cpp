#include "sluice/control/rotation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fields.hpp"
#include "sluice/control/secrets.hpp"
#include "transaction.hpp"

namespace sluice::control {
namespace {

/// Two commands at once must not both add the same version: the file itself is replaced, so what is
/// locked is its directory.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& file) {
    const std::string directory = std::filesystem::path(file).parent_path().string();
    fd_ = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    held_ = fd_ >= 0 && ::flock(fd_, LOCK_EX) == 0;
  }
  ~DirectoryLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  [[nodiscard]] bool held() const { return held_; }

 private:
  int fd_ = -1;
  bool held_ = false;
};

/// Reads the ring, lets `change` change it, and stores it.
template <class Change>
Outcome<KeyRing> change_ring(const std::string& file, Change&& change) {
  const DirectoryLock lock(file);
  if (!lock.held())
    return problem(Errc::io,
                   fmt::format("{}: cannot lock its directory: {}", file, std::strerror(errno)));
  auto ring = read_ring(file);
  if (!ring) return ring;
  if (Outcome<> changed = change(*ring); !changed) return std::unexpected(changed.error());
  std::string text = ring->text();
  const Outcome<> stored = replace_key_file(file, text);
  explicit_bzero(text.data(), text.size());
  if (!stored) return std::unexpected(stored.error());
  return ring;
}

/// Which version opens it; null = none. `secret` gets the key itself.
const KeyRing::Entry* opener_of(const std::string& sealed, const KeyRing& ring,
                                std::string& secret) {
  for (const KeyRing::Entry& entry : ring.entries()) {
    auto opened = open_sealed(sealed, entry.key);
    if (!opened) continue;
    secret = std::move(*opened);
    return &entry;
  }
  return nullptr;
}

}  // namespace

Outcome<KeyRing> add_version(const std::string& ring_file, Rng& rng) {
  return change_ring(ring_file, [&](KeyRing& ring) -> Outcome<> {
    if (ring.full()) {
      return problem(Errc::conflict, fmt::format("{}: holds {} versions, and no more fit: retire "
                                                 "one first",
                                                 ring_file, KeyRing::kMost));
    }
    Key256 key{};
    rng.fill(key);
    ring.add(key);
    explicit_bzero(key.data(), key.size());
    return {};
  });
}

Outcome<KeyRing> remove_version(const std::string& ring_file, std::uint32_t version) {
  return change_ring(ring_file, [&](KeyRing& ring) -> Outcome<> {
    if (version == ring.newest().version) {
      return problem(Errc::conflict,
                     fmt::format("version {} is the newest: rotate first", version));
    }
    if (!ring.remove(version))
      return problem(Errc::not_found,
                     fmt::format("version {}: not found in {}", version, ring_file));
    return {};
  });
}

Outcome<> note_secret(Service& service, std::string_view action, std::string_view kind,
                      std::uint32_t version) {
  const std::string subject = fmt::format("{} {}", kind, version);
  return in_transaction(service, subject, [&] { return note(service, action, subject, ""); });
}

Outcome<SealedCounts> count_sealed(Service& service, const KeyRing& sealing_keys) {
  auto keys = service.ledger.catalog().provider_keys(0);
  auto channels = service.ledger.catalog().channels();
  if (!keys || !channels)
    return problem(Errc::unavailable, "provider keys: " + service.ledger.last_error());
  SealedCounts counts;
  const auto count = [&](const std::string& sealed) {
    std::string secret;
    const KeyRing::Entry* opener = opener_of(sealed, sealing_keys, secret);
    explicit_bzero(secret.data(), secret.size());
    ++counts[opener == nullptr ? 0 : opener->version];
  };
  for (const ledger::ProviderKey& key : *keys) count(key.sealed);
  for (const ledger::Channel& channel : *channels) {
    if (!channel.proxy_credentials.empty()) count(channel.proxy_credentials);
  }
  return counts;
}

Outcome<std::int64_t> seal_anew(Service& service, const KeyRing& sealing_keys) {
  const KeyRing::Entry& newest = sealing_keys.newest();
  const Sealer sealer(public_key_of(newest.key));
  std::int64_t count = 0;
  const auto seal = [&](std::string& sealed) {
    std::string secret;
    const KeyRing::Entry* opener = opener_of(sealed, sealing_keys, secret);
    const bool old = opener != nullptr && opener != &newest;
    if (old) sealed = sealer.seal(secret);
    count += old ? 1 : 0;
    explicit_bzero(secret.data(), secret.size());
    return old;
  };
  CONTROL_TRY(in_transaction(service, "provider keys", [&]() -> Outcome<> {
    auto& catalog = service.ledger.catalog();
    auto keys = catalog.provider_keys(0);
    auto channels = catalog.channels();
    Result<> put;
    if (!keys) put = std::unexpected(keys.error());
    if (!channels) put = std::unexpected(channels.error());
    for (std::size_t i = 0; put && i < keys->size(); ++i) {
      if (seal((*keys)[i].sealed)) put = catalog.put((*keys)[i]);
    }
    for (std::size_t i = 0; put && i < channels->size(); ++i) {
      ledger::Channel& channel = (*channels)[i];
      const bool proxied = !channel.proxy_credentials.empty();
      if (proxied && seal(channel.proxy_credentials)) put = catalog.put(channel);
    }
    if (!put) return std::unexpected(from_ledger(service, put.error(), "provider keys"));
    return note(service, "secret rotate", fmt::format("sealing-key {}", newest.version),
                fmt::format("{} provider keys sealed anew", count));
  }));
  return count;
}

}  // namespace sluice::control
