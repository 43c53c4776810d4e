// Listening sockets as the configuration names them.
#pragma once

#include <string>
#include <vector>

#include "handover.hpp"
#include "sluice/base/units.hpp"

namespace sluice::edge {

/// A socket that listens on "ADDRESS:PORT", or -1 and one line in the log. Waits for a port in use
/// up to `patience_ns`.
[[nodiscard]] int open_listener(const std::string& address, TimeNs patience_ns);

/// The socket among `inherited` with this address, which is taken out of them, or a new one. The
/// kernel takes a dead process's ring apart after its end, and until then the ring keeps the
/// listening socket; shards whose supervisor was killed see it within 5 s: a port in use is waited
/// for, 6 s at most.
[[nodiscard]] int inherit_or_open(const std::string& address,
                                  std::vector<Handover::Socket>& inherited);

void close_all(const std::vector<Handover::Socket>& sockets) noexcept;

}  // namespace sluice::edge
