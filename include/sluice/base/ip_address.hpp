// IP addresses and networks as values. IPv4 is kept as ::ffff:a.b.c.d, so that one comparison
// serves both.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  [[nodiscard]] bool is_v4() const;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

struct Cidr {
  IpAddress network;
  std::uint8_t prefix = 0;  ///< of the 128-bit form: 96 more than the IPv4 prefix
  friend bool operator==(const Cidr&, const Cidr&) = default;
};

/// Dotted quad (exactly four decimal parts, no leading zeros) or RFC 4291 text, without brackets or
/// zone.
[[nodiscard]] std::optional<IpAddress> parse_ip(std::string_view text);
/// Four or sixteen bytes in network order.
[[nodiscard]] std::optional<IpAddress> ip_from_bytes(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::string to_string(const IpAddress& address);
/// What one customer of an access provider has: an IPv4 address, or an IPv6 network of 64 bits.
[[nodiscard]] IpAddress customer_network(const IpAddress& address);

/// "10.0.0.0/8", "::1/128", or a bare address. Nothing when bits below the prefix are set: a typo,
/// most likely.
[[nodiscard]] std::optional<Cidr> parse_cidr(std::string_view text);
[[nodiscard]] bool contains(const Cidr& network, const IpAddress& address);

}  // namespace sluice
