// What a stream with TLS sends, and how a peer that does not read it is ended.
#include <gtest/gtest.h>

#include <cerrno>

#include "secure_test.hpp"

namespace sluice::net {
namespace {

using ring::OpCode;

class SecureSend : public SecureStreamTest {};

ring::Task<> send_pieces(Stream& stream, const std::vector<std::string>& texts, TimeNs stall_ns,
                         ring::PieceQueue* held, Ended& ended) {
  std::vector<iovec> pieces;
  for (const std::string& text : texts) pieces.push_back(vector_of(text));
  const Result<> sent = co_await stream.send(pieces, stall_ns, held);
  ended = sent;
}

TEST_F(SecureSend, ManyPiecesOfAllSizes) {
  open(Side::server);
  const std::vector<std::vector<std::size_t>> plans{
      {1},
      {1, 1, 1},
      {16384},
      {16385},
      {65536},
      {65537},
      {300'000},
      {5, 100'000, 2, 40'000, 1},
      std::vector<std::size_t>(Stream::kSendPieces, 3000)};
  for (const auto& plan : plans) {
    std::vector<std::string> texts;
    std::string all;
    for (const std::size_t bytes : plan) all += texts.emplace_back(numbered_text(bytes));
    peer_->text.clear();
    Ended ended;
    scope_.spawn(send_pieces(*stream_, texts, kSecond, nullptr, ended));
    turns(20);
    ASSERT_TRUE(ended && *ended) << plan.size();
    ASSERT_TRUE(to_peer());
    EXPECT_TRUE(peer_->text == all) << plan.size() << ": " << peer_->text.size();
  }
  EXPECT_EQ(reactor_.timers().armed(), 0U);
}

// TLS 1.3 adds 22 bytes to a record (RFC 8446 §5.2): header 5, type 1, tag 16.
TEST_F(SecureSend, SmallPiecesShareARecord) {
  open(Side::server);
  struct Plan {
    std::vector<std::size_t> pieces;
    std::size_t records;
  };
  for (const Plan& plan :
       {Plan{{3, 200, 2}, 1}, Plan{{300, 3000, 4095}, 1}, Plan{{100, 4096, 2}, 3},
        Plan{std::vector<std::size_t>(32, 1000), 2}, Plan{{16384, 1}, 2}}) {
    std::vector<std::string> texts;
    std::string all;
    for (const std::size_t bytes : plan.pieces) all += texts.emplace_back(numbered_text(bytes));
    peer_->text.clear();
    const std::size_t before = ring_.sent(fd_).size();
    Ended ended;
    scope_.spawn(send_pieces(*stream_, texts, kSecond, nullptr, ended));
    turns();
    ASSERT_TRUE(ended && *ended);
    EXPECT_EQ(ring_.sent(fd_).size() - before, all.size() + 22 * plan.records) << all.size();
    ASSERT_TRUE(to_peer());
    EXPECT_TRUE(peer_->text == all);
  }
}

TEST_F(SecureSend, ShortSendsAreContinuedWhereTheyEnded) {
  open(Side::server);
  for (const std::size_t most : {1U, 7U, 100U}) {
    ring_.options().send_most = most;
    peer_->text.clear();
    Ended ended;
    scope_.spawn(send_pieces(*stream_, {"abc", "d", numbered_text(300)}, kSecond, nullptr, ended));
    turns(500);
    ASSERT_TRUE(ended && *ended) << most;
    ASSERT_TRUE(to_peer());
    EXPECT_EQ(peer_->text, "abcd" + numbered_text(300)) << most;
  }
}

TEST_F(SecureSend, AnInterruptedSendGoesOn) {
  open(Side::server);
  ring_.options().sends_by_hand = true;
  Ended ended;
  scope_.spawn(send_text(*stream_, "abcd", kSecond, ended));
  for (const int result : {-EINTR, 1, -EAGAIN, 2}) {
    EXPECT_FALSE(ended);
    ring_.complete_send(fd_, result);
    turns();
  }
  const ring::testing::ScriptedOp* const last = ring_.find(OpCode::send, fd_);
  ASSERT_NE(last, nullptr);
  ring_.complete_send(fd_, static_cast<int>(last->submission.length));
  turns();
  EXPECT_TRUE(ended && *ended);
  ASSERT_TRUE(to_peer());
  EXPECT_EQ(peer_->text, "abcd");
}

// What is encrypted pins no receive buffer, however slow the peer is.
TEST_F(SecureSend, GivesTheHeldPiecesBackWhenTheyAreEncrypted) {
  open(Side::server);
  ring_.set_send_room(fd_, 0);
  ring::PieceQueue held;
  held.push(ring::Piece::on_heap(10));
  std::fill_n(held[0].data(), 10, 'h');
  const auto body = [](Stream& stream, ring::PieceQueue& queue, Ended& ended) -> ring::Task<> {
    const iovec piece = vector_of(queue[0].view());
    const Result<> sent = co_await stream.send({&piece, 1}, kSecond, &queue);
    ended = sent;
  };
  Ended ended;
  scope_.spawn(body(*stream_, held, ended));
  turns();
  EXPECT_FALSE(ended);
  EXPECT_TRUE(held.empty());
  ring_.set_send_room(fd_, SIZE_MAX);
  turns();
  EXPECT_TRUE(ended && *ended);
  ASSERT_TRUE(to_peer());
  EXPECT_EQ(peer_->text, "hhhhhhhhhh");
}

// ---- the stall time

TEST_F(SecureSend, WithoutProgressItTimesOut) {
  open(Side::server);
  ring_.set_send_room(fd_, 2);
  Ended ended;
  scope_.spawn(send_text(*stream_, "abcdef", 30 * kMillisecond, ended));
  pass(25 * kMillisecond);
  EXPECT_FALSE(ended);
  pass(15 * kMillisecond);
  ASSERT_TRUE(ended);
  ASSERT_FALSE(*ended);
  EXPECT_EQ(ended->error().code, Errc::timed_out);
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  turns();
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::timed_out);
}

TEST_F(SecureSend, ProgressMovesTheStallDeadline) {
  open(Side::server);
  ring_.set_send_room(fd_, 0);
  Ended ended;
  scope_.spawn(send_text(*stream_, "abcdef", 30 * kMillisecond, ended));
  for (int i = 0; i < 10; ++i) {
    pass(20 * kMillisecond);
    ASSERT_FALSE(ended) << i;
    ring_.set_send_room(fd_, 1);
    turns();
  }
  pass(20 * kMillisecond);
  EXPECT_FALSE(ended);
  pass(20 * kMillisecond);
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::timed_out);
}

TEST_F(SecureSend, InterruptionsDoNotMoveTheStallDeadline) {
  open(Side::server);
  ring_.options().sends_by_hand = true;
  Ended ended;
  scope_.spawn(send_text(*stream_, "abcdef", 30 * kMillisecond, ended));
  for (int i = 0; i < 4 && !ended; ++i) {
    ring_.complete_send(fd_, -EAGAIN);
    pass(12 * kMillisecond);
  }
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->error().code, Errc::timed_out);
}

// The text waits for the answer to a key update, which the peer does not read.
TEST_F(SecureSend, TextBehindBytesOfTheEngineTimesOutToo) {
  open(Side::server);
  ring_.set_send_room(fd_, 0);
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  peer_->ask_for_key_update();
  to_stream();
  ASSERT_EQ(ring_.in_flight(OpCode::send, fd_), 1U);
  Ended ended;
  scope_.spawn(send_text(*stream_, "abc", 30 * kMillisecond, ended));
  pass(25 * kMillisecond);
  EXPECT_FALSE(ended);
  pass(15 * kMillisecond);
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::timed_out);
  turns();
}

TEST_F(SecureSend, TextBehindBytesOfTheEngineIsSentAfterThem) {
  open(Side::server);
  ring_.set_send_room(fd_, 3);
  peer_->ask_for_key_update();
  stream_->start_receiving();
  to_stream();
  ASSERT_EQ(ring_.in_flight(OpCode::send, fd_), 1U);
  Ended ended;
  scope_.spawn(send_text(*stream_, "abc", 30 * kMillisecond, ended));
  // Answers to more of them come between.
  peer_->ask_for_key_update();
  peer_->ask_for_key_update();
  to_stream();
  pass(20 * kMillisecond);
  ring_.set_send_room(fd_, 3);
  pass(20 * kMillisecond);
  EXPECT_FALSE(ended);
  ring_.set_send_room(fd_, SIZE_MAX);
  turns();
  ASSERT_TRUE(ended && *ended);
  ASSERT_TRUE(to_peer()) << peer_->engine.failure();
  EXPECT_EQ(peer_->text, "abc");
}

// A server's tickets leave with the end of the handshake, and the first answer meets them.
TEST_F(SecureSend, TextBehindSessionTicketsIsSentAfterThem) {
  begin(Side::server);
  to_stream();  // ClientHello
  to_peer();
  ring_.set_send_room(fd_, 10);
  peer_->send("request");
  to_stream();
  ASSERT_TRUE(started_ && *started_);
  ASSERT_EQ(ring_.in_flight(OpCode::send, fd_), 1U);
  Ended ended;
  scope_.spawn(send_text(*stream_, "answer", 30 * kMillisecond, ended));
  pass(20 * kMillisecond);
  EXPECT_FALSE(ended);
  ring_.set_send_room(fd_, SIZE_MAX);
  turns();
  ASSERT_TRUE(ended && *ended);
  ASSERT_TRUE(to_peer()) << peer_->engine.failure();
  EXPECT_EQ(peer_->text, "answer");
}

// ---- a peer that asks and does not read

TEST_F(SecureSend, KeyUpdatesThatBringDataAreNotAnsweredWithoutEnd) {
  open(Side::server);
  ring_.set_send_room(fd_, 0);
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  std::size_t rounds = 0;
  for (; rounds < 20'000 && !got.error; ++rounds) {
    peer_->ask_for_key_update();
    peer_->send(std::string(50, 'x'));  // more than the answer takes: no flood to the engine
    // What the stream answers is never read: the next request is made without it.
    ring_.deliver(fd_, peer_->give());
    turns(2);
  }
  ASSERT_TRUE(got.error) << "after " << rounds << " requests";
  EXPECT_EQ(got.error->code, Errc::tls_failed);
  EXPECT_EQ(got.error->source, Source::upstream);
  EXPECT_EQ(stream_->tls_failure(), "peer does not read the answers that it asks for");
  // Well before that nothing is held against it.
  EXPECT_GT(rounds, 1000U);
}

TEST_F(SecureSend, KeyUpdatesWithoutDataEndSooner) {
  open(Side::server);
  ring_.set_send_room(fd_, 0);
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  for (int i = 0; i < 3000 && !got.error; ++i) {
    peer_->ask_for_key_update();
    ring_.deliver(fd_, peer_->give());
    turns(2);
  }
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::tls_failed);
  EXPECT_EQ(stream_->tls_failure(), "peer asks for key updates without end");
}

// ---- ends

TEST_F(SecureSend, ShutdownSendsCloseNotify) {
  open(Side::server);
  Ended ended;
  scope_.spawn(send_text(*stream_, "the end", kSecond, ended));
  turns();
  stream_->shutdown_send();
  stream_->shutdown_send();
  turns();
  ASSERT_TRUE(to_peer());
  EXPECT_EQ(peer_->text, "the end");
  EXPECT_EQ(peer_->engine.state(), tls::State::peer_closed);
  // The other direction stays open.
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  peer_->send("late");
  to_stream();
  EXPECT_EQ(got.text, "late");
  Ended after;
  scope_.spawn(send_text(*stream_, "more", kSecond, after));
  turns();
  ASSERT_TRUE(after && !*after);
}

TEST_F(SecureSend, ShutdownWaitsForASendThatIsUnderWay) {
  open(Side::server);
  ring_.set_send_room(fd_, 10);
  const std::string text = numbered_text(200'000);
  Ended ended;
  scope_.spawn(send_text(*stream_, text, kSecond, ended));
  turns();
  stream_->shutdown_send();
  turns();
  EXPECT_FALSE(ended);
  ring_.set_send_room(fd_, SIZE_MAX);
  turns(20);
  ASSERT_TRUE(ended && *ended);
  ASSERT_TRUE(to_peer());
  EXPECT_TRUE(peer_->text == text);
  EXPECT_EQ(peer_->engine.state(), tls::State::peer_closed);
}

// A record that broke off must not be followed by another one, whatever broke it.
TEST_F(SecureSend, NothingFollowsABrokenSend) {
  open(Side::server);
  ring_.options().sends_by_hand = true;
  Ended ended;
  scope_.spawn(send_text(*stream_, "abc", kSecond, ended));
  ring_.complete_send(fd_, 5);
  turns();
  ring_.complete_send(fd_, -ENOMEM);
  turns();
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::io);
  const std::size_t before = ring_.prepared(OpCode::send);
  Ended again;
  scope_.spawn(send_text(*stream_, "def", kSecond, again));
  turns();
  ASSERT_TRUE(again && !*again);
  EXPECT_EQ(again->error().code, Errc::io);
  peer_->ask_for_key_update();
  stream_->start_receiving();
  to_stream();
  EXPECT_EQ(ring_.prepared(OpCode::send), before);
}

// ---- abort

TEST_F(SecureSend, AbortEndsAHandshakeInEachPhase) {
  for (const Side side : {Side::server, Side::client}) {
    for (int steps = 0; steps < 4; ++steps) {
      const int fd = ring_.make_fd();
      Stream stream(reactor_, fd, Source::client);
      SecurePeer peer(make_engine(side == Side::server ? Side::client : Side::server));
      Ended ended;
      scope_.spawn(start_tls(stream, make_engine(side), clock_.monotonic_ns() + kSecond, ended));
      std::size_t seen = 0;
      for (int step = 0; step < steps; ++step) {
        turns(2);
        peer.take(ring_.sent(fd).substr(seen));
        seen = ring_.sent(fd).size();
        if (const std::string bytes = peer.give(); !bytes.empty()) ring_.deliver(fd, bytes);
      }
      const bool was_over = ended.has_value();
      stream.abort();
      turns();
      ASSERT_TRUE(ended) << steps;
      if (!was_over && !*ended) {
        EXPECT_EQ(ended->error().code, Errc::cancelled);
      }
      close(stream);
    }
  }
}

TEST_F(SecureSend, AHandshakeOnAnAbortedStreamFailsAtOnce) {
  stream_->abort();
  scope_.spawn(start_tls(*stream_, make_engine(Side::client), kSecond, started_));
  ASSERT_TRUE(started_ && !*started_);
  EXPECT_EQ(started_->error().code, Errc::cancelled);
}

TEST_F(SecureSend, AbortEndsBothDirectionsAtOnce) {
  open(Side::server);
  ring_.set_send_room(fd_, 4);
  Got got;
  Ended ended;
  scope_.spawn(receive_one(*stream_, 0, got));
  scope_.spawn(send_text(*stream_, "abc", kSecond, ended));
  turns();
  EXPECT_FALSE(ended);
  stream_->abort();
  turns();
  ASSERT_TRUE(got.error && ended && !*ended);
  EXPECT_EQ(got.error->code, Errc::cancelled);
  EXPECT_EQ(ended->error().code, Errc::cancelled);
}

TEST_F(SecureSend, AbortEndsASendThatWaitsBehindTheEngine) {
  open(Side::server);
  ring_.set_send_room(fd_, 0);
  stream_->start_receiving();
  peer_->ask_for_key_update();
  to_stream();
  Ended ended;
  scope_.spawn(send_text(*stream_, "abc", kSecond, ended));
  turns();
  stream_->abort();
  turns();
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::cancelled);
}

}  // namespace
}  // namespace sluice::net
