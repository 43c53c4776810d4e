// The keys that session tickets are encrypted with, shared by all shards so that a client resumes
// at whichever takes its connection.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace sluice::tls {

/// Made with a random key of its own. The newest key makes tickets; the one before it still opens
/// them, and the client then gets a new one. Owner: a shard; it outlives every context and engine
/// that uses it. Thread: one. Keys that are dropped are wiped.
class TicketKeys {
 public:
  static constexpr std::size_t kKeyBytes = 32;
  static constexpr std::size_t kNameBytes = 16;
  static constexpr std::size_t kIvBytes = 16;
  static constexpr std::size_t kMacBytes = 32;
  using Key = std::array<std::uint8_t, kKeyBytes>;
  enum class Opened : std::uint8_t { no, yes, with_old_key };

  TicketKeys();
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  /// `key` makes tickets from now on; the key before the present one is forgotten.
  void rotate(const Key& key);

  /// Encrypts `ticket` in place (AES-256-GCM, random nonce). Returns false when the cipher fails.
  [[nodiscard]] bool seal(std::span<std::uint8_t, kNameBytes> name,
                          std::span<std::uint8_t, kIvBytes> iv,
                          std::span<std::uint8_t, kMacBytes> mac, std::span<std::uint8_t> ticket);
  /// Decrypts `ticket` in place, unless it was changed or made with a forgotten key.
  [[nodiscard]] Opened open(std::span<const std::uint8_t, kNameBytes> name,
                            std::span<const std::uint8_t, kIvBytes> iv,
                            std::span<const std::uint8_t, kMacBytes> mac,
                            std::span<std::uint8_t> ticket);

 private:
  struct Named {
    Key key{};
    std::array<std::uint8_t, kNameBytes> name{};  ///< in clear on each ticket: a hash of the key
  };
  Named current_;
  Named previous_;
};

}  // namespace sluice::tls
