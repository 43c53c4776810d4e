// A stream with TLS on the scripted ring, and its peer: an engine that the test moves by hand.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "certificates.hpp"
#include "engine_probe.hpp"
#include "net_test.hpp"
#include "sluice/tls/context.hpp"
#include "sluice/tls/engine.hpp"

namespace sluice::net {

enum class Side { client, server };

inline tls::Engine make_engine(Side side, const std::string& certificate = "good",
                               const std::string& host = "good.test",
                               const std::string& authority = "ca") {
  const auto& files = tls::Certificates::get();
  if (side == Side::server) {
    const auto context = tls::ServerContext::load(files.path(certificate + ".pem"),
                                                  files.path(certificate + ".key"));
    return tls::Engine::server(*context).value();
  }
  const auto context = tls::ClientContext::load(files.path(authority + ".pem"));
  return tls::Engine::client(*context, host).value();
}

/// An engine that takes what the stream has sent; what it answers waits in `to_stream`.
class SecurePeer {
 public:
  explicit SecurePeer(tls::Engine made, bool tls_1_2_only = false) : engine(std::move(made)) {
    if (tls_1_2_only) tls::EngineProbe::offer_tls_1_2_only(engine);
    take({});
  }

  /// Everything in `ciphertext`. False when the engine failed.
  bool take(std::string_view ciphertext) {
    std::string waiting(ciphertext);
    do {
      const auto received = engine.receive(waiting, room_, out_);
      answer();
      if (!received) return false;
      waiting.erase(0, received->consumed_bytes);
      text.append(room_.data(), received->plaintext_bytes);
    } while (engine.state() != tls::State::peer_closed && (!waiting.empty() || engine.has_more()));
    return true;
  }
  void send(std::string_view plaintext) {
    while (!plaintext.empty()) {
      const auto sent = engine.send(plaintext, out_);
      ASSERT_TRUE(sent.has_value() && *sent > 0);
      plaintext.remove_prefix(*sent);
      answer();
    }
  }
  void ask_for_key_update() {
    tls::EngineProbe::ask_for_key_update(engine, out_);
    answer();
  }
  void close() {
    engine.close(out_);
    answer();
  }
  [[nodiscard]] std::string give() { return std::exchange(to_stream, {}); }

  tls::Engine engine;
  std::string text;       ///< what the stream sent
  std::string to_stream;  ///< ciphertext

 private:
  void answer() { to_stream.append(out_.room.data(), std::exchange(out_.used, 0)); }
  std::string room_ = std::string(32 * 1024, '\0');
  std::string memory_ = std::string(64 * 1024, '\0');
  tls::Outbox out_{.room = memory_, .used = 0};
};

inline ring::Task<> start_tls(Stream& stream, tls::Engine engine, TimeNs deadline_ns,
                              Ended& ended) {
  const Result<> started = co_await stream.start_tls(std::move(engine), deadline_ns);
  ended = started;
}

class SecureStreamTest : public StreamTest {
 protected:
  explicit SecureStreamTest(ring::testing::ScriptOptions options = {}) : StreamTest(options) {}

  /// The stream's side of the handshake begins; the peer is the other side.
  void begin(Side side, const std::string& certificate = "good",
             const std::string& host = "good.test", const std::string& authority = "ca") {
    const bool server = side == Side::server;
    peer_ = std::make_unique<SecurePeer>(
        make_engine(server ? Side::client : Side::server, certificate, host, authority));
    scope_.spawn(start_tls(*stream_, make_engine(side, certificate, host, authority),
                           clock_.monotonic_ns() + 5 * kSecond, started_));
    turns();
  }
  /// What the stream has sent goes to the peer.
  bool to_peer() {
    const std::string bytes = ring_.sent(fd_).substr(carried_);
    carried_ += bytes.size();
    return peer_->take(bytes);
  }
  /// What the peer has said goes to the stream.
  void to_stream() {
    const std::string bytes = peer_->give();
    if (!bytes.empty()) ring_.deliver(fd_, bytes);
    turns();
  }
  /// Both ways, until nothing moves.
  void exchange() {
    for (int i = 0; i < 6; ++i) {
      to_peer();
      to_stream();
    }
  }
  void open(Side side) {
    begin(side);
    exchange();
    ASSERT_TRUE(started_ && *started_) << stream_->tls_failure();
    ASSERT_EQ(peer_->engine.state(), tls::State::open);
  }

  std::unique_ptr<SecurePeer> peer_;
  Ended started_;
  std::size_t carried_ = 0;
};

}  // namespace sluice::net
