// The body of a provider's answer that is not relayed: an error's, or that of a probe.
#pragma once

#include <functional>
#include <string_view>

#include "response_head.hpp"

namespace sluice::relay {

/// Takes the next bytes of a body; false = it wants no more.
using BodySink = std::function<bool(std::string_view)>;

struct AnswerBody {
  bool whole = false;     ///< the sink has had all of it
  bool reusable = false;  ///< the connection
};

/// Reads the body behind the head `response` for at most `most_ns` and at most `most_bytes`.
/// Suspends; `sink` outlives it.
[[nodiscard]] ring::Task<AnswerBody> read_answer_body(Services& services, net::Stream& upstream,
                                                      const ResponseFacts& response,
                                                      const BodySink& sink, std::size_t most_bytes,
                                                      TimeNs most_ns);

}  // namespace sluice::relay
