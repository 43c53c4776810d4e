#include "sluice/base/ssrf.hpp"

#include <algorithm>
#include <string_view>

namespace sluice {
namespace {

std::vector<Cidr> parse_all(std::initializer_list<std::string_view> texts) {
  std::vector<Cidr> out;
  for (const std::string_view text : texts) out.push_back(parse_cidr(text).value());
  return out;
}

/// IANA special-purpose registries, IPv4 and IPv6 (RFC 6890 and updates), plus multicast and class
/// E.
const std::vector<Cidr>& special_networks() {
  static const std::vector<Cidr> networks = parse_all({
      "0.0.0.0/8",
      "10.0.0.0/8",
      "100.64.0.0/10",
      "127.0.0.0/8",
      "169.254.0.0/16",
      "172.16.0.0/12",
      "192.0.0.0/24",
      "192.0.2.0/24",
      "192.31.196.0/24",
      "192.52.193.0/24",
      "192.88.99.0/24",
      "192.168.0.0/16",
      "192.175.48.0/24",
      "198.18.0.0/15",
      "198.51.100.0/24",
      "203.0.113.0/24",
      "224.0.0.0/4",
      "240.0.0.0/4",
  });
  return networks;
}

std::optional<IpAddress> v4_at(const IpAddress& address, std::size_t offset) {
  return ip_from_bytes(std::span(address.bytes).subspan(offset, 4));
}

bool in(const IpAddress& address, std::string_view network) {
  return contains(parse_cidr(network).value(), address);
}

/// The IPv4 address that reaches the wire when a transition mechanism unwraps this one.
std::optional<IpAddress> embedded_v4(const IpAddress& address) {
  if (in(address, "2002::/16")) return v4_at(address, 2);      // 6to4, RFC 3056
  if (in(address, "64:ff9b::/96")) return v4_at(address, 12);  // NAT64, RFC 6052
  return std::nullopt;
}

}  // namespace

bool is_public(const IpAddress& address) {
  if (address.is_v4()) {
    const auto& special = special_networks();
    return std::none_of(special.begin(), special.end(),
                        [&](const Cidr& net) { return contains(net, address); });
  }
  if (const auto inner = embedded_v4(address)) return is_public(*inner);
  // Global unicast is 2000::/3 (RFC 4291 §2.4); within it the special blocks are few.
  if (!in(address, "2000::/3")) return false;
  for (const std::string_view network :
       {"2001::/23", "2001:db8::/32", "3fff::/20", "2620:4f:8000::/48"}) {
    if (in(address, network)) return false;
  }
  return true;
}

bool may_connect(const IpAddress& address, std::span<const Cidr> allow_private) {
  if (is_public(address)) return true;
  return std::any_of(allow_private.begin(), allow_private.end(),
                     [&](const Cidr& network) { return contains(network, address); });
}

}  // namespace sluice
