// Two streams that speak TLS to each other on the machine's own kernel.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "loopback.hpp"
#include "secure_test.hpp"

namespace sluice::net {
namespace {

struct Setting {
  const char* name;
  LoopbackOptions options;
  bool tls_1_2 = false;
};

class SecureLoopback : public LoopbackTest, public ::testing::WithParamInterface<Setting> {
 protected:
  SecureLoopback() : LoopbackTest(GetParam().options) {}

  struct Pair {
    Stream& client;
    Stream& server;
  };
  /// A pair whose handshakes have begun.
  Pair begin(const std::string& certificate = "good", const std::string& host = "good.test",
             const std::string& authority = "ca", int receive_bytes = 0) {
    Stream& client = connect(receive_bytes);
    Stream& server = *accepted_.back();
    const TimeNs deadline_ns = reactor_.now_ns() + 5 * kSecond;
    tls::Engine engine = make_engine(Side::client, certificate, host, authority);
    if (GetParam().tls_1_2) tls::EngineProbe::offer_tls_1_2_only(engine);
    client_started_.reset();
    server_started_.reset();
    scope_.spawn(
        start_tls(server, make_engine(Side::server, certificate), deadline_ns, server_started_));
    scope_.spawn(start_tls(client, std::move(engine), deadline_ns, client_started_));
    return {client, server};
  }
  Pair open(int receive_bytes = 0) {
    const Pair pair = begin("good", "good.test", "ca", receive_bytes);
    run_until([&] { return client_started_ && server_started_; });
    EXPECT_TRUE(*client_started_) << pair.client.tls_failure();
    EXPECT_TRUE(*server_started_) << pair.server.tls_failure();
    return pair;
  }

  Ended client_started_;
  Ended server_started_;
};

/// Sends the text in one call: pieces that double in size, and the rest as the last.
ring::Task<> send_in_pieces(Stream& stream, const std::string& text, Result<>& sent) {
  std::vector<iovec> pieces;
  std::size_t at = 0;
  while (at < text.size()) {
    const bool last = pieces.size() + 1 == Stream::kSendPieces;
    const std::size_t most = last ? text.size() : std::size_t{1} << (pieces.size() % 16);
    pieces.push_back(vector_of(std::string_view(text).substr(at, most)));
    at += pieces.back().iov_len;
  }
  sent = co_await stream.send(pieces, 5 * kSecond);
}

/// Sends and receives side by side; `back` is what came.
ring::Task<> echo_once(Stream& stream, const std::string& text, std::string& back, Ended& ended) {
  ring::Scope scope;
  Result<> sent;
  scope.spawn(send_in_pieces(stream, text, sent));
  while (back.size() < text.size()) {
    const TimeNs deadline_ns = stream.reactor().now_ns() + 5 * kSecond;
    const Result<ring::Piece> piece = co_await stream.receive(deadline_ns);
    if (!piece) break;
    back += piece->view();
  }
  co_await scope.join();
  ended = sent;
}

TEST_P(SecureLoopback, EchoesOfAllSizesOnOneConnection) {
  const Pair pair = open();
  scope_.spawn(echo(pair.server));
  for (const std::size_t bytes : std::initializer_list<std::size_t>{
           1, 2, 100, 1000, 16'383, 16'384, 16'385, 65'535, 65'536, 65'537, 100'000, 1'000'000}) {
    const std::string text = numbered_text(bytes);
    std::string back;
    Ended ended;
    scope_.spawn(echo_once(pair.client, text, back, ended));
    run_until([&] { return ended.has_value(); });
    EXPECT_TRUE(*ended) << bytes;
    EXPECT_TRUE(back == text) << bytes << ": " << back.size();
  }
}

TEST_P(SecureLoopback, ALargeEchoEndsInOrder) {
  const Pair pair = open();
  const std::string text = numbered_text(1'500'000);
  Got got;
  Ended sent;
  scope_.spawn(echo(pair.server));
  scope_.spawn(receive_all(pair.client, got));
  scope_.spawn(send_and_end(pair.client, text, sent));
  run_until([&] { return got.error.has_value() && sent.has_value(); });
  EXPECT_TRUE(*sent);
  EXPECT_EQ(got.error->code, Errc::closed);
  EXPECT_TRUE(got.text == text) << got.text.size();
}

TEST_P(SecureLoopback, ManyEchoesShareFewBuffers) {
  const std::string text = numbered_text(200'000);
  std::vector<std::unique_ptr<Got>> got;
  std::vector<std::unique_ptr<Ended>> sent;
  for (std::size_t i = 0; i < 12; ++i) {
    const Pair pair = open();
    got.push_back(std::make_unique<Got>());
    sent.push_back(std::make_unique<Ended>());
    scope_.spawn(echo(pair.server));
    scope_.spawn(receive_all(pair.client, *got[i]));
  }
  for (std::size_t i = 0; i < 12; ++i) scope_.spawn(send_and_end(*connected_[i], text, *sent[i]));
  run_until([&] {
    return std::all_of(got.begin(), got.end(),
                       [](const auto& one) { return one->error.has_value(); });
  });
  for (const auto& one : got) {
    EXPECT_EQ(one->error->code, Errc::closed);
    EXPECT_TRUE(one->text == text) << one->text.size();
  }
}

TEST_P(SecureLoopback, AReaderThatDoesNotReadStopsTheSender) {
  const Pair pair = open();
  Ended sent;
  const std::string text = numbered_text(8'000'000);
  scope_.spawn(send_text(pair.client, text, 200 * kMillisecond, sent));
  run_until([&] { return sent.has_value(); });
  ASSERT_FALSE(*sent);
  EXPECT_EQ(sent->error().code, Errc::timed_out);
}

// The kernel tells of room long after the stall time; what the reader takes is seen all the same.
TEST_P(SecureLoopback, AReaderThatReadsLittleIsNotTakenForOneThatDoesNotRead) {
  const Pair pair = open(4096);
  Stream& reader = pair.client;
  const int large = 2'000'000;
  ASSERT_EQ(setsockopt(pair.server.descriptor(), SOL_SOCKET, SO_SNDBUF, &large, sizeof large), 0);
  const std::string text = numbered_text(8'000'000);
  constexpr TimeNs kStall = 400 * kMillisecond;
  Ended sent;
  scope_.spawn(send_text(pair.server, text, kStall, sent));
  const TimeNs begun = system_clock().monotonic_ns();
  // Its stream takes what may wait in it, and no more.
  while (system_clock().monotonic_ns() - begun < kStall / 4) reactor_.run_turn(kMillisecond);
  expect_patience(reader, sent, begun + 5 * kStall);
}

TEST_P(SecureLoopback, AClosedStreamWithoutCloseNotifyIsATruncation) {
  const Pair pair = open();
  Got got;
  scope_.spawn(receive_all(pair.client, got));
  Ended sent;
  scope_.spawn(send_text(pair.server, "a part", kSecond, sent));
  run_until([&] { return sent.has_value() && !got.text.empty(); });
  close(pair.server);
  run_until([&] { return got.error.has_value(); });
  EXPECT_EQ(got.text, "a part");
  EXPECT_EQ(got.error->code, Errc::truncated);
}

struct Refusal {
  const char* certificate;
  const char* host;
  const char* authority;
  const char* why;
};

// The client closes as soon as it knows; the server is told why all the same.
TEST_P(SecureLoopback, ARefusedCertificateIsToldByAnAlert) {
  for (const Refusal& refusal :
       {Refusal{"good", "evil.test", "ca", "certificate is for another name"},
        Refusal{"good", "good.test", "other-ca",
                "certificate is not signed by a trusted authority"},
        Refusal{"expired", "good.test", "ca", "certificate has expired"}}) {
    const Pair pair = begin(refusal.certificate, refusal.host, refusal.authority);
    run_until([&] { return client_started_.has_value(); });
    ASSERT_FALSE(*client_started_) << refusal.why;
    EXPECT_EQ(client_started_->error().code, Errc::tls_failed);
    EXPECT_EQ(client_started_->error().source, Source::upstream);
    EXPECT_EQ(pair.client.tls_failure(), refusal.why);
    close(pair.client);
    run_until([&] { return server_started_.has_value(); });
    ASSERT_FALSE(*server_started_);
    EXPECT_EQ(server_started_->error().code, Errc::tls_failed);
    EXPECT_NE(pair.server.tls_failure(), "peer closed the connection during the handshake");
    EXPECT_NE(pair.server.tls_failure(), "");
  }
}

// Who speaks something else gets an alert or nothing, then the end: never a hang, never a reset of
// what it may still read.
TEST_P(SecureLoopback, PlaintextOnATlsPortIsEnded) {
  Stream& client = connect();
  Stream& server = *accepted_.back();
  scope_.spawn(start_tls(server, make_engine(Side::server), reactor_.now_ns() + 5 * kSecond,
                         server_started_));
  Ended sent;
  Got got;
  scope_.spawn(receive_all(client, got));
  scope_.spawn(send_text(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", kSecond, sent));
  run_until([&] { return server_started_.has_value(); });
  ASSERT_FALSE(*server_started_);
  EXPECT_EQ(server_started_->error().code, Errc::tls_failed);
  EXPECT_EQ(server_started_->error().source, Source::client);
  close(server);
  run_until([&] { return got.error.has_value(); });
  EXPECT_EQ(got.error->code, Errc::closed);
  if (!got.text.empty()) {
    EXPECT_EQ(got.text[0], '\x15');  // an alert record, RFC 8446 §5.1
  }
}

TEST_P(SecureLoopback, AbortEndsEverythingInTheKernel) {
  const Pair pair = open();
  Got got;
  Ended sent;
  scope_.spawn(receive_one(pair.client, 0, got));
  scope_.spawn(send_text(pair.client, numbered_text(8'000'000), 10 * kSecond, sent));
  for (int i = 0; i < 5; ++i) reactor_.run_turn(10 * kMillisecond);
  EXPECT_FALSE(sent.has_value());
  pair.client.abort();
  run_until([&] { return got.error.has_value() && sent.has_value(); });
  EXPECT_EQ(got.error->code, Errc::cancelled);
  EXPECT_EQ(sent->error().code, Errc::cancelled);
}

INSTANTIATE_TEST_SUITE_P(Settings, SecureLoopback,
                         ::testing::Values(Setting{"Newest", {}},
                                           Setting{"Linux61", {.profile_6_1 = true}},
                                           Setting{"SmallBuffers", {.buffer_block_bytes = 64}},
                                           Setting{"Tls12", {}, true}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace sluice::net
