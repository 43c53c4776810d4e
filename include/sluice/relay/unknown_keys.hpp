// How often one address may ask with keys that there are not.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "sluice/base/crypto.hpp"
#include "sluice/base/units.hpp"

namespace sluice::relay {

/// Keys cannot be guessed; what this limits is the trying of keys that leaked somewhere, and what a
/// program with a wrong key costs. An address (of IPv6 the network of 64 bits) that has asked with
/// so many unknown keys in a minute is refused unseen until its account recovers, one look-up at a
/// time. A key that was good from there lately is not concerned: those who share an address with
/// such a program go on. One that has not been seen from there waits like all others.
///
/// Bounded: 4,096 addresses, of which those with the fewest failures make room, and 8,192 keys. A
/// shard's own; does not allocate before the first unknown key.
class UnknownKeys {
 public:
  using Address = std::array<std::uint8_t, 16>;

  /// `a_minute`: unknown keys of one address, also at once; 0 = no limit. `seed`: random, so that
  /// nobody can choose addresses that share a place.
  UnknownKeys(std::uint32_t a_minute, std::uint64_t seed);

  /// How long the address must wait before this key may be looked up; 0 = it may now.
  [[nodiscard]] TimeNs wait_ns(const Address& address, const Digest256& key, TimeNs now_ns) const;
  /// The key was looked up, and there is none.
  void note_unknown(const Address& address, TimeNs now_ns);
  /// There is one.
  void note_good(const Address& address, const Digest256& key);

 private:
  static constexpr std::size_t kSets = 1024;
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kGoodKeys = 8192;

  /// One address, by the generic cell rate algorithm: when its failures so far would have come if
  /// they had come evenly.
  struct Entry {
    std::uint64_t tag = 0;
    TimeNs arrival_ns = 0;
  };
  using Set = std::array<Entry, kWays>;

  [[nodiscard]] std::uint64_t tag_of(const Address& address) const;

  TimeNs interval_ns_;  ///< of one failure; 0 = no limit
  std::uint64_t seed_;
  std::unique_ptr<std::array<Set, kSets>> failures_;
  /// By a part of the digest: another part, and from where.
  std::unique_ptr<std::array<std::uint64_t, kGoodKeys>> good_;
};

}  // namespace sluice::relay
