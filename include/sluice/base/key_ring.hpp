// A secret that is rotated: its versions, the newest of which is used for what is new while the
// older ones still hold for what was made with them. The pepper of client keys and the private key
// that opens provider keys are kept so.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sluice/base/error.hpp"

namespace sluice {

using Key256 = std::array<std::uint8_t, 32>;

/// Newest first, at most kMost. Every copy is wiped when it dies.
class KeyRing {
 public:
  static constexpr std::size_t kMost = 4;  ///< each costs a hash and a look-up for an unknown key
  struct Entry {
    std::uint32_t version = 0;  ///< from 1 on, never used again
    Key256 key{};
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  KeyRing() = default;
  KeyRing(const KeyRing&) = default;
  KeyRing& operator=(const KeyRing&) = default;
  ~KeyRing();

  /// The bytes of a ring's file: 32 bytes are version 1, alone; else a line a version, newest
  /// first: "2 5f…\n", 64 hexadecimal digits. Errors: bad_value.
  [[nodiscard]] static Result<KeyRing> parse(std::string_view bytes);
  /// As lines. The caller wipes the text.
  [[nodiscard]] std::string text() const;

  [[nodiscard]] std::span<const Entry> entries() const { return {entries_.data(), count_}; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] bool full() const { return count_ == kMost; }
  /// Not empty.
  [[nodiscard]] const Entry& newest() const { return entries_.front(); }

  /// `key` becomes the newest. The ring is not full.
  void add(const Key256& key);
  /// For what is not measured by strangers: it takes longer the more is equal.
  friend bool operator==(const KeyRing&, const KeyRing&) = default;

  /// False when there is no such version.
  bool remove(std::uint32_t version);

 private:
  std::array<Entry, kMost> entries_{};
  std::size_t count_ = 0;
};

/// Who beside its owner may read a file of secrets.
enum class Readers : std::uint8_t { nobody, group };

/// Reads a ring's file, which nobody but its owner may write and nobody but `readers` read. On
/// failure `message` gets one line. Errors: not_found (there is no such file, or it may not be
/// read), forbidden (others may), bad_value.
[[nodiscard]] Result<KeyRing> read_key_ring(const std::string& path, Readers readers,
                                            std::string& message);

}  // namespace sluice
