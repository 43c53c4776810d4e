// Reads the body of a request whole, under the caps of design §12.
#pragma once

#include "request.hpp"
#include "sluice/net/stream.hpp"
#include "sluice/relay/services.hpp"

namespace sluice::relay {

/// Reads the body that `head` announced; answers "100 Continue" where the client waits for it.
/// Errors: too_large, bad_framing, timed_out (slower than body_min_bytes_per_s), full (the shard's
/// bodies together), closed, reset.
[[nodiscard]] ring::Task<Result<Body>> read_body(Services& services, net::Stream& client,
                                                 const RequestHeadFacts& head);

}  // namespace sluice::relay
