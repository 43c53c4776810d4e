// Which addresses an upstream connection may go to. Pure functions: the reconciler calls them on
// what a name resolved to, and what they let through is pinned, so that nothing is resolved again
// at connect.
#pragma once

#include <span>
#include <vector>

#include "sluice/base/ip_address.hpp"

namespace sluice {

/// Whether an address is on the public internet: none of the special-purpose ranges of RFC 6890 and
/// its registries (loopback, private, link-local with the metadata services, shared, documentation,
/// benchmarking, multicast, reserved …), also when it hides inside a 6to4 or NAT64 address.
[[nodiscard]] bool is_public(const IpAddress& address);

/// Whether the edge may connect there: public, or listed by the operator.
[[nodiscard]] bool may_connect(const IpAddress& address, std::span<const Cidr> allow_private);

}  // namespace sluice
