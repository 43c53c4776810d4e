#include "body_reader.hpp"

#include <algorithm>

#include "sluice/http/body.hpp"

namespace sluice::relay {
namespace {

// No more memory than this is taken on the word of a Content-Length alone.
constexpr std::size_t kTrustedLengthBytes = 256 * kKiB;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

TimeNs body_deadline(const Services& services, TimeNs start_ns, std::size_t received_bytes) {
  const auto rate = static_cast<TimeNs>(std::max(services.settings.body_min_bytes_per_s, 1U));
  // The first byte may be as late as a head; beyond that the body must keep up the least rate.
  return start_ns + services.settings.head_timeout_ns +
         static_cast<TimeNs>(received_bytes) * kSecond / rate;
}

// What a body that is still being received takes of the memory for all bodies.
class Share {
 public:
  explicit Share(Services& services) : services_(services) {}
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  ~Share() { services_.body_bytes -= bytes_; }
  /// False when there is less than that.
  [[nodiscard]] bool take(std::size_t bytes) {
    services_.body_bytes += bytes - bytes_;
    bytes_ = bytes;
    return services_.body_bytes <= services_.settings.bodies_total_bytes;
  }

 private:
  Services& services_;
  std::size_t bytes_ = 0;
};

// Decodes one piece into the body. What lies behind the body stays in the piece.
Result<> take_piece(http::BodyDecoder& decoder, ring::Piece& piece, Body& body, std::size_t limit) {
  while (!piece.empty() && !decoder.done()) {
    const Result<http::BodyStep> step = decoder.next(piece.view());
    if (!step) return std::unexpected(step.error());
    if (!body.append({step->payload.data(), step->payload.size()}, limit)) {
      return fail(Errc::too_large, Source::client);
    }
    if (step->consumed_bytes == 0) break;
    piece.drop_front(step->consumed_bytes);
  }
  return {};
}

}  // namespace

ring::Task<Result<Body>> read_body(Services& services, net::Stream& client,
                                   const RequestHeadFacts& head) {
  if (head.framing == http::Framing::none) co_return Body();
  const std::size_t limit = services.settings.limits.body_bytes;
  if (services.body_bytes + head.content_length > services.settings.bodies_total_bytes) {
    co_return fail(Errc::full);
  }
  http::BodyDecoder decoder(head.framing, head.content_length, limit, Source::client);
  Body body(std::min<std::size_t>(head.content_length, kTrustedLengthBytes));
  Share share(services);
  if (!share.take(body.capacity())) co_return fail(Errc::full);
  if (head.expects_continue && !client.has_received()) {
    const iovec text{const_cast<char*>(kContinue.data()), kContinue.size()};
    const Result<> sent = co_await client.send({&text, 1}, services.settings.write_stall_ns);
    if (!sent) co_return std::unexpected(sent.error());
  }
  const TimeNs start_ns = services.reactor.now_ns();
  while (!decoder.done()) {
    const TimeNs deadline_ns = body_deadline(services, start_ns, body.size());
    Result<ring::Piece> received = co_await client.receive(deadline_ns);
    if (!received) co_return std::unexpected(received.error());
    ring::Piece piece = std::move(*received);
    const Result<> taken = take_piece(decoder, piece, body, limit);
    if (!taken) co_return std::unexpected(taken.error());
    if (!share.take(body.capacity())) co_return fail(Errc::full);
    client.unread(std::move(piece));
  }
  co_return body;
}

}  // namespace sluice::relay
