// Reads the head of the next request from a client and copies out what the relay needs of it.
#pragma once

#include <string>

#include "request.hpp"
#include "sluice/net/stream.hpp"
#include "sluice/relay/services.hpp"

namespace sluice::relay {

/// Reads one head into `facts`, which is new. What follows it stays in the stream. Errors: those of
/// RequestParser (answer http::status_of(error)), timed_out (a head was begun; 408), closed
/// (nothing came: end quietly), reset, cancelled. `format` gets the format in which a refusal
/// should be worded, as far as the path was readable.
[[nodiscard]] ring::Task<Result<>> read_head(Services& services, net::Stream& client,
                                             RequestHeadFacts& facts, dialect::Format& format);

/// A new request id.
[[nodiscard]] RequestId next_request_id(Services& services);

}  // namespace sluice::relay
