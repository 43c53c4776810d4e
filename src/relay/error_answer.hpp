// An answer of a provider that is no success: read to its end as far as it is kept, and classified.
#pragma once

#include "response_head.hpp"
#include "sluice/dialect/error_body.hpp"
#include "sluice/policy/breaker.hpp"

namespace sluice::relay {

struct ErrorAnswer {
  Body body;
  bool whole = false;     ///< all of it is in `body`
  bool reusable = false;  ///< the connection
  policy::Fault fault = policy::Fault::none;
  TimeNs retry_after_ns = 0;  ///< that the provider asked for, 0 = it did not
};

/// Reads the answer whose head is `response` from `upstream`, for at most `most_ns`, at most 64
/// KiB, and counts its class. `errors`: what the provider's own codes mean.
[[nodiscard]] ring::Task<ErrorAnswer> read_error_answer(Services& services, net::Stream& upstream,
                                                        dialect::Format format,
                                                        dialect::ErrorTable errors,
                                                        const ResponseFacts& response,
                                                        TimeNs most_ns);

}  // namespace sluice::relay
