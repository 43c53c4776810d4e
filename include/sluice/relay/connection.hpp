// Serves one client connection: its requests one after another, until either side ends it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "sluice/net/stream.hpp"
#include "sluice/relay/services.hpp"
#include "sluice/ring/task.hpp"

namespace sluice::relay {

/// The client's end of a connection. Owned by whoever awaits serve_connection().
struct Client {
  std::unique_ptr<net::Stream> stream;
  std::array<std::uint8_t, 16> address_v6{};  ///< IPv4 as ::ffff:a.b.c.d
  bool busy = false;                          ///< a request is under way
  TimeNs idle_since_ns = 0;                   ///< when not busy
};

/// Runs until the connection is closed; joins everything it started. `client` outlives it.
[[nodiscard]] ring::Task<> serve_connection(Services& services, Client& client);

}  // namespace sluice::relay
