#include "sluice/control/secrets.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <filesystem>
#include <span>
#include <system_error>

#include "sluice/base/assert.hpp"
#include "sluice/base/crc32c.hpp"

namespace sluice::control {
namespace {

constexpr std::string_view kBase62 =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kKeyPrefix = "sk-";
constexpr std::size_t kRandomChars = 43;  // 62^43 > 2^256
constexpr std::size_t kCheckChars = 6;    // 62^6 > 2^32
static_assert(kKeyPrefix.size() + kRandomChars + kCheckChars == kClientKeyChars);

/// sodium_init() twice is fine; without it the library picks no fast implementations.
void ensure_sodium() {
  static const bool ready = sodium_init() >= 0;
  SLUICE_ASSERT(ready);
}

std::string check_of(std::string_view body) {
  std::uint32_t crc = crc32c(body.data(), body.size());
  std::string out(kCheckChars, '0');
  for (std::size_t i = kCheckChars; i-- > 0; crc /= 62) out[i] = kBase62[crc % 62];
  return out;
}

/// Writes a new file whole, with its mode from the start, or fails when it exists. `owner`: whose
/// it becomes and which mode it gets; without it the caller's.
Outcome<> write_new(const std::string& path, std::span<const std::uint8_t> bytes, mode_t mode,
                    const struct stat* owner = nullptr) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return problem(Errc::io, fmt::format("{}: {}", path, std::strerror(errno)));
  const bool owned = owner == nullptr || ::fchown(fd, owner->st_uid, owner->st_gid) == 0;
  const bool whole =
      owned && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
      ::fchmod(fd, mode) == 0 && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (whole) return {};
  ::unlink(path.c_str());
  return problem(Errc::io, fmt::format("{}: {}", path, std::strerror(error)));
}

Outcome<> make_directory_for(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (parent.empty() || std::filesystem::exists(parent, error)) return {};
  std::filesystem::create_directories(parent, error);
  if (!error) std::filesystem::permissions(parent, std::filesystem::perms::owner_all, error);
  if (error) return problem(Errc::io, fmt::format("{}: {}", parent.string(), error.message()));
  return {};
}

}  // namespace

SodiumKeyHasher::SodiumKeyHasher(const Key256& pepper) : pepper_(pepper) { ensure_sodium(); }
SodiumKeyHasher::~SodiumKeyHasher() { sodium_memzero(pepper_.data(), pepper_.size()); }

Digest256 SodiumKeyHasher::hash(std::string_view api_key) const {
  static_assert(crypto_auth_hmacsha256_BYTES == 32 && crypto_auth_hmacsha256_KEYBYTES == 32);
  Digest256 out{};
  crypto_auth_hmacsha256(out.data(), reinterpret_cast<const unsigned char*>(api_key.data()),
                         api_key.size(), pepper_.data());
  return out;
}

std::string to_hex(const Digest256& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : digest) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string Sealer::seal(std::string_view secret) const {
  ensure_sodium();
  std::vector<unsigned char> sealed(secret.size() +
                                    crypto_box_curve25519xchacha20poly1305_SEALBYTES);
  const int done = crypto_box_curve25519xchacha20poly1305_seal(
      sealed.data(), reinterpret_cast<const unsigned char*>(secret.data()), secret.size(),
      public_key_.data());
  // Only a public key of low order fails; create_missing_secrets() makes none.
  SLUICE_ASSERT(done == 0);
  std::string text(sodium_base64_encoded_len(sealed.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), sealed.data(), sealed.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the terminating zero
  return text;
}

Outcome<std::string> open_sealed(std::string_view sealed_base64, const Key256& secret_key) {
  ensure_sodium();
  std::vector<unsigned char> sealed(sealed_base64.size() + 1);
  std::size_t bytes = 0;
  const Key256 public_key = public_key_of(secret_key);
  if (sodium_base642bin(sealed.data(), sealed.size(), sealed_base64.data(), sealed_base64.size(),
                        nullptr, &bytes, nullptr, sodium_base64_VARIANT_ORIGINAL) != 0 ||
      bytes < crypto_box_curve25519xchacha20poly1305_SEALBYTES) {
    return problem(Errc::corrupt, "sealed key: not base64 or too short");
  }
  std::string secret(bytes - crypto_box_curve25519xchacha20poly1305_SEALBYTES, '\0');
  if (crypto_box_curve25519xchacha20poly1305_seal_open(
          reinterpret_cast<unsigned char*>(secret.data()), sealed.data(), bytes, public_key.data(),
          secret_key.data()) != 0) {
    return problem(Errc::corrupt, "sealed key: was not sealed to this key pair");
  }
  return secret;
}

Key256 public_key_of(const Key256& secret_key) {
  Key256 public_key{};
  crypto_scalarmult_base(public_key.data(), secret_key.data());
  return public_key;
}

namespace {

/// At most `out.size()` bytes of a file, how many there were, and its mode.
Outcome<std::size_t> read_file(const std::string& path, std::span<char> out, mode_t& mode) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return problem(Errc::not_found, fmt::format("{}: {}", path, std::strerror(errno)));
  struct stat info{};
  const bool read = ::fstat(fd, &info) == 0;
  const ssize_t count = ::read(fd, out.data(), out.size());
  ::close(fd);
  if (!read || count < 0) return problem(Errc::io, fmt::format("{}: cannot be read", path));
  mode = info.st_mode;
  return static_cast<std::size_t>(count);
}

}  // namespace

Outcome<Key256> read_public_key(const std::string& path) {
  std::array<char, 33> bytes{};
  mode_t mode = 0;
  const auto count = read_file(path, bytes, mode);
  if (!count) return std::unexpected(count.error());
  if (*count != 32)
    return problem(Errc::corrupt, fmt::format("{}: must hold exactly 32 bytes", path));
  if ((mode & (S_IWGRP | S_IWOTH)) != 0) {
    return problem(Errc::forbidden, fmt::format("{}: others may write it: chmod 0444", path));
  }
  Key256 key{};
  std::copy_n(bytes.begin(), key.size(), key.begin());
  return key;
}

Outcome<KeyRing> read_ring(const std::string& path) {
  std::string message;
  auto ring = read_key_ring(path, Readers::group, message);
  if (!ring) return problem(ring.error().code, message);
  return *ring;
}

Outcome<> replace_key_file(const std::string& path, std::string_view bytes) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0)
    return problem(Errc::io, fmt::format("{}: {}", path, std::strerror(errno)));
  const std::string next = path + ".next";
  ::unlink(next.c_str());  // of a command that was killed
  const std::span<const std::uint8_t> span(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                           bytes.size());
  if (auto done = write_new(next, span, info.st_mode & 07777, &info); !done) return done;
  if (::rename(next.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(next.c_str());
    return problem(Errc::io, fmt::format("{}: {}", path, std::strerror(error)));
  }
  const std::string directory = std::filesystem::path(path).parent_path().string();
  const int fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  if (fd >= 0) ::close(fd);
  if (!synced) return problem(Errc::io, fmt::format("{}: {}", directory, std::strerror(errno)));
  return {};
}

Outcome<std::string> read_secret_text(const std::string& path) {
  std::string text(4097, '\0');
  mode_t mode = 0;
  const auto count = read_file(path, text, mode);
  if (!count) return std::unexpected(count.error());
  if ((mode & (S_IWGRP | S_IRWXO)) != 0)
    return problem(Errc::forbidden,
                   fmt::format("{}: others may read or write it: chmod 0400", path));
  text.resize(*count);
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty() || text.size() > 4096)
    return problem(Errc::bad_value, fmt::format("{}: must hold 1 to 4096 bytes", path));
  return text;
}

Outcome<std::vector<std::string>> create_missing_secrets(const std::string& pepper_file,
                                                         const std::string& sealing_key_file,
                                                         const std::string& sealing_public_file) {
  ensure_sodium();
  std::vector<std::string> made;
  std::error_code error;
  const auto missing = [&](const std::string& path) {
    return !std::filesystem::exists(path, error);
  };
  for (const std::string* path : {&pepper_file, &sealing_key_file, &sealing_public_file}) {
    if (path->empty())
      return problem(Errc::bad_value,
                     "secrets: pepper_file, sealing_key_file and sealing_public_file must be set");
    if (auto done = make_directory_for(*path); !done) return std::unexpected(done.error());
  }
  if (missing(pepper_file)) {
    Key256 pepper{};
    system_rng().fill(pepper);
    if (auto done = write_new(pepper_file, pepper, 0400); !done)
      return std::unexpected(done.error());
    made.push_back(pepper_file);
  }
  if (missing(sealing_key_file)) {
    if (!missing(sealing_public_file)) {
      return problem(
          Errc::conflict,
          fmt::format("{}: is missing, but its public key {} exists: provider keys could not "
                      "be opened",
                      sealing_key_file, sealing_public_file));
    }
    Key256 secret{};
    system_rng().fill(secret);
    if (auto done = write_new(sealing_key_file, secret, 0400); !done)
      return std::unexpected(done.error());
    sodium_memzero(secret.data(), secret.size());
    made.push_back(sealing_key_file);
  }
  if (missing(sealing_public_file)) {
    const auto ring = read_ring(sealing_key_file);
    if (!ring) return std::unexpected(ring.error());
    const Key256 public_key = public_key_of(ring->newest().key);
    if (auto done = write_new(sealing_public_file, public_key, 0444); !done)
      return std::unexpected(done.error());
    made.push_back(sealing_public_file);
  }
  return made;
}

std::string make_api_key(Rng& rng) {
  std::string key(kKeyPrefix);
  while (key.size() < kKeyPrefix.size() + kRandomChars) {
    std::array<std::uint8_t, 64> bytes{};
    rng.fill(bytes);
    for (const std::uint8_t byte : bytes) {
      // 248 = 4 × 62: larger bytes would favour the first digits.
      if (byte < 248 && key.size() < kKeyPrefix.size() + kRandomChars) key += kBase62[byte % 62];
    }
  }
  return key + check_of(key);
}

bool is_well_formed_api_key(std::string_view key) {
  if (key.size() != kKeyPrefix.size() + kRandomChars + kCheckChars || !key.starts_with(kKeyPrefix))
    return false;
  const std::string_view body = key.substr(0, key.size() - kCheckChars);
  return body.substr(kKeyPrefix.size()).find_first_not_of(kBase62) == std::string_view::npos &&
         key.substr(body.size()) == check_of(body);
}

}  // namespace sluice::control
