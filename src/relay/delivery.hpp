// The client's side of one answer. Several providers may have a try at it: as long as nothing of
// one has been sent, another may answer, also when the head of a stream and pings are out already.
#pragma once

#include <string_view>

#include "response_head.hpp"
#include "sluice/dialect/error_body.hpp"
#include "sluice/relay/services.hpp"

namespace sluice::relay {

/// Owner: one exchange; what it is made of outlives it.
class Delivery {
 public:
  Delivery(Services& services, net::Stream& client, const RequestHeadFacts& request)
      : services_(services),
        client_(client),
        request_(request),
        last_sent_ns_(request.received_ns) {}

  /// Header lines about rate limits, for whatever head is made.
  void set_limits(Body lines) { limits_ = std::move(lines); }
  [[nodiscard]] std::string_view limits() const { return limits_.view(); }
  /// The client has seen status and headers.
  [[nodiscard]] bool head_sent() const { return head_sent_; }
  /// Something of a provider's was sent: the answer can no longer come from another channel.
  [[nodiscard]] bool begun() const { return begun_; }
  /// The connection may carry another request when the answer has ended in order.
  [[nodiscard]] bool reusable() const { return reusable_; }
  /// Of the body, once the head is made.
  [[nodiscard]] BodyFraming framing() const { return framing_; }
  [[nodiscard]] TimeNs last_sent_ns() const { return last_sent_ns_; }
  /// When the next ping of a silent stream is due.
  [[nodiscard]] TimeNs ping_due_ns() const {
    return last_sent_ns_ + services_.settings.keepalive_ping_ns;
  }

  /// The head of a successful answer; `room`: bytes that can be appended to it. It counts as sent.
  /// Errors: as write_client_head().
  [[nodiscard]] Result<Body> make_head(const ResponseFacts& response, BodyFraming framing,
                                       TimeNs own_ns, std::size_t room);
  void note_sent(bool well);
  void note_begun() { begun_ = true; }
  /// No ping can be sent now: not before it is due again.
  void put_off_ping() { last_sent_ns_ = services_.reactor.now_ns(); }
  /// The connection ends with this answer.
  void spoil() { reusable_ = false; }

  /// Keeps a silent stream alive in the client's own format, between events. Sends the head of a
  /// stream first if need be: that of `response`, or one of its own where no provider has answered.
  [[nodiscard]] ring::Task<Result<>> ping(const ResponseFacts* response);
  /// Ends a stream whose head was sent by the format's own error event.
  [[nodiscard]] ring::Task<> send_error(dialect::ErrorKind kind, std::string_view message);
  /// The text of that event; a view into the shard's scratch.
  [[nodiscard]] std::string_view error_event(dialect::ErrorKind kind, std::string_view message,
                                             bool at_boundary) const;

 private:
  [[nodiscard]] Result<Body> make_stream_head(const ResponseFacts* response);
  [[nodiscard]] ring::Task<Result<>> send_event(std::string_view text,
                                                const ResponseFacts* response);

  Services& services_;
  net::Stream& client_;
  const RequestHeadFacts& request_;
  Body limits_;
  TimeNs last_sent_ns_;
  BodyFraming framing_ = BodyFraming::none;
  bool head_sent_ = false;
  bool begun_ = false;
  bool reusable_ = false;
};

}  // namespace sluice::relay
