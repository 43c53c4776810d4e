// How many connections each address has open to a shard.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <unordered_map>

#include "sluice/base/ip_address.hpp"

namespace sluice::edge {

/// Addresses are IPv6, IPv4 mapped; of IPv6 the network of 64 bits counts, which is what one
/// customer of an access provider has. Bounded by the connections that are open. Thread: the
/// shard's.
class AddressCounts {
 public:
  using Address = std::array<std::uint8_t, 16>;

  /// `most` = 0: no limit, and nothing is counted.
  explicit AddressCounts(std::uint32_t most) : most_(most) {}

  /// Whether one more connection may come from there.
  [[nodiscard]] bool admits(const Address& address) const {
    if (most_ == 0) return true;
    const auto found = open_.find(network_of(address));
    return found == open_.end() || found->second < most_;
  }

  void enter(const Address& address) {
    if (most_ != 0) ++open_[network_of(address)];
  }

  /// A connection that entered has ended.
  void leave(const Address& address) {
    if (most_ == 0) return;
    const auto found = open_.find(network_of(address));
    if (--found->second == 0) open_.erase(found);
  }

  [[nodiscard]] std::size_t addresses() const { return open_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const Address& address) const {
      std::uint64_t high = 0;
      std::uint64_t low = 0;
      std::memcpy(&high, address.data(), 8);
      std::memcpy(&low, address.data() + 8, 8);
      return (high ^ (low * 0x9e3779b97f4a7c15ULL)) * 0xbf58476d1ce4e5b9ULL >> 7U;
    }
  };

  static Address network_of(const Address& address) { return customer_network({address}).bytes; }

  std::uint32_t most_;
  std::unordered_map<Address, std::uint32_t, Hash> open_;
};

}  // namespace sluice::edge
