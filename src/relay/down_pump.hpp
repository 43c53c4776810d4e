// The pump from the provider to the client: takes received pieces, lets the meter read them in
// place, frames them anew and sends the same memory on. The only place where response bytes pass.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "delivery.hpp"
#include "failover.hpp"
#include "hold.hpp"
#include "meter.hpp"
#include "read_on.hpp"
#include "response_head.hpp"
#include "sluice/http/body.hpp"
#include "sluice/http/writer.hpp"

namespace sluice::relay {

enum class PumpEnd : std::uint8_t {
  finished,        ///< whole, and the client has it
  upstream_broke,  ///< ended early, stalled, or made no sense
  refused,         ///< by the provider, with status 200: nothing was delivered
  client_left,
  cut,        ///< ended by us: no more money
  timed_out,  ///< the total time of the request is over
  ended,      ///< by us: the shard goes
};

/// What a pump works on. All outlive it.
struct PumpContext {
  Services& services;
  Delivery& delivery;
  Failover& failover;
  net::Stream& client;
  net::Stream& upstream;
  Hold* hold;  ///< null for calls that cost nothing
  const RequestHeadFacts& request;
  ResponseFacts& response;  ///< its lines are given back when they are out
  const bool& client_left;                 ///< set when the client has gone
  const bool& ended;                       ///< set when the gateway has ended the request
  bool drain_after_client;                 ///< read on for the usage when the client has gone
  const std::unique_ptr<ReadOn>& read_on;  ///< set when that has begun
  bool commit_late;                        ///< keep all back until the first semantic event
  bool stream;                             ///< the client asked for a stream
  TimeNs total_deadline_ns;
  TimeNs first_token_deadline_ns;
  TimeNs between_tokens_ns;
  TimeNs sent_ns;  ///< when the request was on its way, monotonic
};

class DownPump {
 public:
  DownPump(const PumpContext& context, const Meter::Kind& meter_kind);
  DownPump(const DownPump&) = delete;
  DownPump& operator=(const DownPump&) = delete;
  ~DownPump();

  /// Runs until the answer has ended one way or the other.
  [[nodiscard]] ring::Task<PumpEnd> run();

  /// Sends the format's own error event behind what was delivered, if the client can still tell it
  /// apart. The connection cannot be reused then. `kind` says what happened.
  [[nodiscard]] ring::Task<> send_error_event(dialect::ErrorKind kind, std::string_view message);

  [[nodiscard]] const Meter& meter() const { return meter_; }
  /// upstream_broke because nothing came for too long.
  [[nodiscard]] bool timed_out() const { return timed_out_; }
  [[nodiscard]] bool upstream_reusable() const {
    return upstream_clean_ && context_.response.keep_alive;
  }
  [[nodiscard]] std::uint64_t bytes_out() const { return bytes_out_; }
  [[nodiscard]] TimeNs first_token_ns() const { return first_token_ns_; }
  [[nodiscard]] Tokens counted_output() const;

 private:
  Result<> take(ring::Piece piece);
  std::size_t meter_payload(char* payload, std::size_t bytes, char* to);
  std::size_t release_held(char* to);
  void queue_text(std::string_view text);
  void queue_held();
  void note_progress();
  void keep_aside();
  [[nodiscard]] bool may_send() const;
  [[nodiscard]] bool reads_on() const;
  void drop_unwanted();
  [[nodiscard]] TimeNs next_deadline_ns() const;
  [[nodiscard]] TimeNs token_deadline_ns() const;
  [[nodiscard]] bool make_head();
  [[nodiscard]] bool was_refused() const;
  void note_first_token();
  /// One send of what is queued, awaited where it is made: as a coroutine it was a frame a chunk.
  struct Flush {
    DownPump& pump;
    bool sends;   ///< else there was nothing to send
    bool failed;  ///< there is no head that could be sent
    [[nodiscard]] bool await_ready() const;
    void await_suspend(std::coroutine_handle<> waiter) const noexcept;
    [[nodiscard]] bool await_resume() const;  ///< false = the client does not get it
  };
  [[nodiscard]] Flush flush(bool last);
  void note_sent(bool well);
  [[nodiscard]] bool take_all();
  [[nodiscard]] ring::Task<std::optional<PumpEnd>> on_silence(const Error& error);
  std::size_t frame(std::span<iovec> pieces, bool last);

  PumpContext context_;
  Meter meter_;
  http::BodyDecoder decoder_;
  BodyFraming framing_;
  const bool until_close_;  ///< the end of the upstream's connection is that of the body
  Body head_;               ///< of the answer, until it was sent
  ring::PieceQueue queue_;  ///< payload to send, framing cut away
  std::string held_;        ///< start of an event that may have to be withheld
  std::array<char, http::kChunkHeadBytes> chunk_head_{};
  std::size_t front_room_ = 0;  ///< used-up bytes before the last piece's payload
  std::size_t back_room_ = 0;
  bool held_here_ = false;  ///< held_ began in the piece that is being taken
  bool semantic_ = false;
  bool upstream_clean_ = false;
  bool timed_out_ = false;
  TimeNs last_received_ns_;
  TimeNs first_token_ns_ = 0;
  std::uint64_t bytes_out_ = 0;
};

}  // namespace sluice::relay
