#include "error_answer.hpp"

#include <algorithm>

#include "error_kind.hpp"

#include "sluice/http/body.hpp"

namespace sluice::relay {
namespace {

constexpr std::size_t kErrorBodyBytes = 64 * kKiB;  // that are kept to be passed on

}  // namespace

ring::Task<ErrorAnswer> read_error_answer(Services& services, net::Stream& upstream,
                                          dialect::Format format, dialect::ErrorTable errors,
                                          const ResponseFacts& response, TimeNs most_ns) {
  http::BodyDecoder decoder(response.framing, response.content_length, kErrorBodyBytes,
                            Source::upstream);
  ErrorAnswer answer;
  answer.whole = true;
  const TimeNs deadline_ns = services.reactor.now_ns() + most_ns;
  while (!decoder.done() && answer.whole) {
    Result<ring::Piece> received = co_await upstream.receive(deadline_ns);
    if (!received) {
      answer.whole = decoder.end_of_stream().has_value() && received.error().code == Errc::closed;
      break;
    }
    ring::Piece piece = std::move(*received);
    while (!piece.empty() && !decoder.done()) {
      const Result<http::BodyStep> step = decoder.next(piece.view());
      answer.whole =
          step && answer.body.append({step->payload.data(), step->payload.size()}, kErrorBodyBytes);
      if (!answer.whole || step->consumed_bytes == 0) break;
      piece.drop_front(step->consumed_bytes);
    }
    // Bytes behind the end stay in the connection: so it is not used again.
    if (decoder.done()) upstream.unread(std::move(piece));
  }
  answer.reusable = decoder.done() && response.keep_alive;
  const dialect::ErrorClass error_class =
      dialect::classify_upstream_error(format, response.status, answer.body.view(), errors);
  services.count(counter_of(error_class));
  answer.fault = policy::fault_of(error_class, response.status);
  answer.retry_after_ns =
      std::max(response.retry_after_ns, dialect::retry_delay_ns(answer.body.view()));
  co_return answer;
}

}  // namespace sluice::relay
