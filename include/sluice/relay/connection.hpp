// Serves one client connection: its requests one after another, until either side ends it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "sluice/net/stream.hpp"
#include "sluice/relay/services.hpp"
#include "sluice/ring/task.hpp"

namespace sluice::relay {

class Exchange;

/// The client's end of a connection. Owned by whoever awaits serve_connection().
struct Client {
  std::unique_ptr<net::Stream> stream;
  std::array<std::uint8_t, 16> address_v6{};  ///< IPv4 as ::ffff:a.b.c.d
  Exchange* exchange = nullptr;               ///< the request that is under way
  TimeNs idle_since_ns = 0;                   ///< when there is none
};

/// Ends the request that is under way now: a stream with its format's own error event, one that has
/// not begun to be answered with a refusal. A client that does not read learns nothing, and stays.
void end_request(Client& client);

/// Runs until the connection is closed; joins everything it started. `client` outlives it.
[[nodiscard]] ring::Task<> serve_connection(Services& services, Client& client);

}  // namespace sluice::relay
