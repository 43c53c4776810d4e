// Heads of answers: what the relay keeps of an upstream's, and what it writes to the client.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "request.hpp"
#include "slow_head.hpp"
#include "sluice/http/response.hpp"
#include "sluice/net/stream.hpp"
#include "sluice/relay/services.hpp"

namespace sluice::relay {

/// What the head of an upstream's answer said.
struct ResponseFacts {
  int status = 0;
  http::Framing framing = http::Framing::none;
  std::uint64_t content_length = 0;
  bool keep_alive = false;
  bool event_stream = false;  ///< Content-Type: text/event-stream
  bool encoded = false;       ///< a Content-Encoding that we did not ask for
  TimeNs retry_after_ns = 0;  ///< that an error asks for, 0 = none
  Body forwarded;             ///< "name: value\r\n" lines that go to the client
};

/// A response head of which a part has come.
using SlowResponse = std::unique_ptr<SlowHead<http::ResponseParser>>;

/// Reads the head of the answer to `method`. What follows stays in the stream. After timed_out it
/// may be called again with the same `slow`, which is null at first. Errors: those of
/// ResponseParser (source upstream), truncated (ended inside), and those of Stream::receive.
[[nodiscard]] ring::Task<Result<ResponseFacts>> read_response_head(Services& services,
                                                                   net::Stream& upstream,
                                                                   http::Method method,
                                                                   SlowResponse& slow,
                                                                   TimeNs deadline_ns);

/// How the body of an answer is framed towards the client.
enum class BodyFraming : std::uint8_t { none, length, chunked, until_close };

struct ClientHead {
  int status = 200;
  BodyFraming framing = BodyFraming::none;
  std::uint64_t content_length = 0;
  bool keep_alive = true;
  bool http_1_0 = false;
  std::string_view forwarded;     ///< lines of the upstream's head, as ResponseFacts has them
  std::string_view extra;         ///< lines of our own, each ended by CRLF
  std::string_view content_type;  ///< when `forwarded` has none
  TimeNs own_ns = -1;             ///< gateway's own time for Server-Timing; −1 = not said
  std::size_t room = 0;           ///< bytes that can be appended without another allocation
};

/// The head as text. Errors: bad_value, full (a forwarded field that may not be sent, or too many).
[[nodiscard]] Result<Body> write_client_head(Services& services, const RequestHeadFacts& request,
                                             const ClientHead& head);

}  // namespace sluice::relay
