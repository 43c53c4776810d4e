#include "answer_body.hpp"

#include "sluice/http/body.hpp"

namespace sluice::relay {

ring::Task<AnswerBody> read_answer_body(Services& services, net::Stream& upstream,
                                        const ResponseFacts& response, const BodySink& sink,
                                        std::size_t most_bytes, TimeNs most_ns) {
  http::BodyDecoder decoder(response.framing, response.content_length, most_bytes,
                            Source::upstream);
  AnswerBody answer{.whole = true};
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
      answer.whole = step && sink({step->payload.data(), step->payload.size()});
      if (!answer.whole || step->consumed_bytes == 0) break;
      piece.drop_front(step->consumed_bytes);
    }
    // Bytes behind the end stay in the connection: so it is not used again.
    if (decoder.done()) upstream.unread(std::move(piece));
  }
  answer.reusable = decoder.done() && response.keep_alive;
  co_return answer;
}

}  // namespace sluice::relay
