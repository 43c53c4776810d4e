// What the receiver of a stream with TLS is given, and when.
#include <gtest/gtest.h>

#include "secure_test.hpp"

namespace sluice::net {
namespace {

class SecureReceive : public SecureStreamTest {};

TEST_F(SecureReceive, HandshakesOnEitherSide) {
  open(Side::server);
  EXPECT_EQ(stream_->tls_failure(), "");
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  peer_->send("hello");
  to_stream();
  EXPECT_EQ(got.text, "hello");
}

TEST_F(SecureReceive, SpeaksTls12Too) {
  peer_ = std::make_unique<SecurePeer>(make_engine(Side::client), true);
  scope_.spawn(
      start_tls(*stream_, make_engine(Side::server), clock_.monotonic_ns() + kSecond, started_));
  turns();
  to_stream();
  exchange();
  ASSERT_TRUE(started_ && *started_);
  EXPECT_EQ(peer_->engine.version(), "TLSv1.2");
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  peer_->send("hello");
  to_stream();
  EXPECT_EQ(got.text, "hello");
}

// A part of a record is nothing to a receiver: it must go on waiting.
TEST_F(SecureReceive, ARecordMayComeByteByByte) {
  open(Side::server);
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  peer_->send("in small parts");
  const std::string record = peer_->give();
  for (const char byte : record) {
    EXPECT_EQ(got.text, "");
    ring_.deliver(fd_, {&byte, 1});
    turns();
  }
  EXPECT_EQ(got.text, "in small parts");
}

TEST_F(SecureReceive, TheHandshakeMayComeByteByByte) {
  begin(Side::server);
  for (int i = 0; i < 4; ++i) {
    to_peer();
    for (const char byte : peer_->give()) {
      ring_.deliver(fd_, {&byte, 1});
      turns(2);
    }
    turns();
  }
  ASSERT_TRUE(started_);
  EXPECT_TRUE(*started_);
}

// A server's session tickets come when the client waits for its answer already.
TEST_F(SecureReceive, SessionTicketsAreNoData) {
  begin(Side::client);
  to_peer();
  to_stream();  // the server's flight
  ASSERT_TRUE(started_ && *started_);
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  to_peer();
  const std::string tickets = peer_->give();
  ASSERT_FALSE(tickets.empty());
  ring_.deliver(fd_, tickets);
  turns();
  EXPECT_EQ(got.text, "");
  EXPECT_FALSE(got.error);
  peer_->send("answer");
  to_stream();
  EXPECT_EQ(got.text, "answer");
}

TEST_F(SecureReceive, ADeadlineIsNotMovedByPartsOfARecord) {
  open(Side::server);
  Got got;
  scope_.spawn(receive_one(*stream_, clock_.monotonic_ns() + 30 * kMillisecond, got));
  peer_->send("never whole");
  const std::string record = peer_->give();
  for (std::size_t i = 0; i < 3; ++i) {
    pass(8 * kMillisecond);
    ring_.deliver(fd_, record.substr(i, 1));
    turns();
    EXPECT_FALSE(got.error);
  }
  pass(10 * kMillisecond);
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::timed_out);
  // Usable afterwards, as without TLS.
  ring_.deliver(fd_, record.substr(3));
  turns();
  Got later;
  scope_.spawn(receive_one(*stream_, 0, later));
  EXPECT_EQ(later.text, "never whole");
}

// A client that does not wait for the server's tickets: its last flight and its request are one
// packet.
TEST_F(SecureReceive, DataMayComeWithTheLastFlight) {
  begin(Side::server);
  to_stream();  // ClientHello
  to_peer();
  ASSERT_EQ(peer_->engine.state(), tls::State::open);
  peer_->send("request");
  to_stream();
  ASSERT_TRUE(started_ && *started_);
  ASSERT_TRUE(stream_->has_received());
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  EXPECT_EQ(got.text, "request");
}

TEST_F(SecureReceive, EvenTheEndMayComeWithTheLastFlight) {
  begin(Side::server);
  to_stream();
  to_peer();
  peer_->send("request");
  peer_->close();
  to_stream();
  ASSERT_TRUE(started_ && *started_);
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  EXPECT_EQ(got.text, "request");
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::closed);
}

// The bytes that came before TLS was asked for are the handshake's.
TEST_F(SecureReceive, AHandshakeThatWasReceivedAheadCounts) {
  stream_->start_receiving();
  peer_ = std::make_unique<SecurePeer>(make_engine(Side::client));
  ring_.deliver(fd_, peer_->give());
  turns();
  ASSERT_TRUE(stream_->has_received());
  scope_.spawn(
      start_tls(*stream_, make_engine(Side::server), clock_.monotonic_ns() + kSecond, started_));
  turns();
  exchange();
  EXPECT_TRUE(started_ && *started_);
}

TEST_F(SecureReceive, CloseNotifyIsAnOrderlyEnd) {
  open(Side::server);
  peer_->send("all of it");
  peer_->close();
  to_stream();
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  turns();
  EXPECT_EQ(got.text, "all of it");
  ASSERT_TRUE(got.error);
  EXPECT_EQ(*got.error, (Error{Errc::closed, Source::upstream, Retry::no, 0}));
  // The other half goes on, and ends in order too.
  Ended sent;
  scope_.spawn(send_text(*stream_, "answer", kSecond, sent));
  turns();
  ASSERT_TRUE(sent && *sent);
  stream_->shutdown_send();
  turns();
  to_peer();
  EXPECT_EQ(peer_->text, "answer");
  EXPECT_EQ(peer_->engine.state(), tls::State::peer_closed);
}

TEST_F(SecureReceive, AnEndWithoutCloseNotifyIsATruncation) {
  open(Side::server);
  peer_->send("a part");
  ring_.deliver(fd_, peer_->give());
  ring_.end_of_stream(fd_);
  turns();
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  turns();
  EXPECT_EQ(got.text, "a part");
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::truncated);
}

TEST_F(SecureReceive, AnEndInsideTheHandshakeFailsIt) {
  begin(Side::server);
  to_stream();
  ring_.end_of_stream(fd_);
  turns();
  ASSERT_TRUE(started_);
  ASSERT_FALSE(*started_);
  EXPECT_EQ(started_->error().code, Errc::tls_failed);
  EXPECT_EQ(stream_->tls_failure(), "peer closed the connection during the handshake");
}

TEST_F(SecureReceive, AChangedRecordEndsTheStream) {
  open(Side::server);
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  peer_->send("good");
  to_stream();
  peer_->send("bad");
  std::string record = peer_->give();
  record.back() = static_cast<char>(record.back() ^ 1);
  ring_.deliver(fd_, record);
  turns();
  EXPECT_EQ(got.text, "good");
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::tls_failed);
  EXPECT_NE(stream_->tls_failure(), "");
}

TEST_F(SecureReceive, AHandshakeThatTakesTooLongIsGivenUp) {
  begin(Side::server);
  pass(4 * kSecond);
  EXPECT_FALSE(started_);
  pass(2 * kSecond);
  ASSERT_TRUE(started_);
  ASSERT_FALSE(*started_);
  EXPECT_EQ(started_->error().code, Errc::timed_out);
}

// An idle connection that brings tickets only has not spoken.
TEST_F(SecureReceive, TheIdleWatcherIsNotToldOfTickets) {
  begin(Side::client);
  to_peer();
  to_stream();
  ASSERT_TRUE(started_ && *started_);
  int calls = 0;
  stream_->watch_idle([](void* context, const Error&) { ++*static_cast<int*>(context); }, &calls);
  to_peer();
  to_stream();
  EXPECT_EQ(calls, 0);
  peer_->send("unasked");
  to_stream();
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace sluice::net
