// The control side's cryptography, over libsodium: the HMAC that names client keys, the sealing of
// provider keys, and the files that hold the pepper and the sealing key pair. The edge has its own
// implementation (wolfSSL).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/crypto.hpp"
#include "sluice/base/key_ring.hpp"
#include "sluice/base/random.hpp"
#include "sluice/control/problem.hpp"

namespace sluice::control {

using sluice::Key256;

/// HMAC-SHA-256 with the pepper (FIPS 198-1). The pepper is wiped when the object dies.
class SodiumKeyHasher final : public KeyHasher {
 public:
  explicit SodiumKeyHasher(const Key256& pepper);
  ~SodiumKeyHasher() override;
  SodiumKeyHasher(const SodiumKeyHasher&) = delete;
  SodiumKeyHasher& operator=(const SodiumKeyHasher&) = delete;
  [[nodiscard]] Digest256 hash(std::string_view api_key) const override;

 private:
  Key256 pepper_;
};

/// 64 lower-case digits.
[[nodiscard]] std::string to_hex(const Digest256& digest);

/// Seals to a public key (crypto_box_curve25519xchacha20poly1305_seal): who seals cannot open.
class Sealer {
 public:
  explicit Sealer(const Key256& public_key) : public_key_(public_key) {}
  /// base64 of the sealed bytes.
  [[nodiscard]] std::string seal(std::string_view secret) const;

 private:
  Key256 public_key_;
};

/// Opens what a Sealer made, for tests and for key rotation. Errc::corrupt when it was not sealed
/// to this pair.
[[nodiscard]] Outcome<std::string> open_sealed(std::string_view sealed_base64,
                                               const Key256& secret_key);

/// The public key of a private one.
[[nodiscard]] Key256 public_key_of(const Key256& secret_key);

/// Reads a public key: exactly 32 bytes, which group and others may not write.
[[nodiscard]] Outcome<Key256> read_public_key(const std::string& path);
/// As the function of base, its message as a Problem. Edge and console share the pepper, so that a
/// group may read it.
[[nodiscard]] Outcome<KeyRing> read_ring(const std::string& path);

/// Replaces a file of secrets, or the public key, at once and durably: owner and mode stay as they
/// are.
[[nodiscard]] Outcome<> replace_key_file(const std::string& path, std::string_view bytes);

/// Reads a secret that is text, without the line end behind it: 1 to 4096 bytes. Refuses a file
/// that others may read, or group write.
[[nodiscard]] Outcome<std::string> read_secret_text(const std::string& path);

/// Makes pepper (0400), sealing key (0400) and public key (0444) where they are missing;
/// directories too, 0700. Never overwrites. Returns the names of the files it made.
[[nodiscard]] Outcome<std::vector<std::string>> create_missing_secrets(
    const std::string& pepper_file, const std::string& sealing_key_file,
    const std::string& sealing_public_file);

/// A new client key: "sk-" + 43 characters of base62 (256 random bits) + 6 characters of base62
/// CRC-32 over what stands before them, so that a scanner and a typo can be told from a key.
[[nodiscard]] std::string make_api_key(Rng& rng);
/// Whether `key` has that form and its check is right.
[[nodiscard]] bool is_well_formed_api_key(std::string_view key);

}  // namespace sluice::control
