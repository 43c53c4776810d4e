// The first record of a TLS client, received before anything is spent on it.
#pragma once

#include "sluice/net/stream.hpp"
#include "sluice/ring/task.hpp"

namespace sluice::edge {

/// Waits for the whole first record and leaves it in the stream. What is no record of a handshake
/// is left as it came: the engine refuses it. Errors: those of receive().
[[nodiscard]] ring::Task<Result<>> await_client_hello(net::Stream& stream, TimeNs deadline_ns);

}  // namespace sluice::edge
