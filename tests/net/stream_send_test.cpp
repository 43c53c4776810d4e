#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "net_test.hpp"

namespace sluice::net {
namespace {

using ring::OpCode;

class StreamSend : public StreamTest {};

ring::Task<> send_pieces(Stream& stream, const std::vector<std::string>& texts, TimeNs stall_ns,
                         ring::PieceQueue* held, Ended& ended) {
  std::vector<iovec> pieces;
  for (const std::string& text : texts) pieces.push_back(vector_of(text));
  const Result<> sent = co_await stream.send(pieces, stall_ns, held);
  ended = sent;
}

TEST_F(StreamSend, SendsAllPiecesInOrder) {
  const std::vector<std::string> texts{"HTTP/1.1 200 OK\r\n", "\r\n", "body"};
  Ended ended;
  scope_.spawn(send_pieces(*stream_, texts, kSecond, nullptr, ended));
  EXPECT_EQ(ring_.in_flight(OpCode::sendmsg, fd_), 1U);
  turns();
  ASSERT_TRUE(ended);
  EXPECT_TRUE(*ended);
  EXPECT_EQ(ring_.sent(fd_), "HTTP/1.1 200 OK\r\n\r\nbody");
}

TEST_F(StreamSend, OnePieceIsAPlainSend) {
  Ended ended;
  scope_.spawn(send_text(*stream_, "x", kSecond, ended));
  EXPECT_EQ(ring_.in_flight(OpCode::send, fd_), 1U);
  turns();
  EXPECT_TRUE(*ended);
}

TEST_F(StreamSend, AsManyPiecesAsAllowed) {
  std::vector<std::string> texts;
  std::string all;
  for (std::size_t i = 0; i < Stream::kSendPieces; ++i) {
    texts.push_back(numbered_text(i + 1));
    all += texts.back();
  }
  Ended ended;
  scope_.spawn(send_pieces(*stream_, texts, kSecond, nullptr, ended));
  turns();
  EXPECT_TRUE(*ended);
  EXPECT_EQ(ring_.sent(fd_), all);
}

TEST_F(StreamSend, TheFirstAttemptDoesNotWaitInTheKernel) {
  ring_.set_send_room(fd_, 0);
  Ended ended;
  scope_.spawn(send_text(*stream_, "slow", kSecond, ended));
  ASSERT_NE(ring_.find(OpCode::send, fd_), nullptr);
  EXPECT_NE(ring_.find(OpCode::send, fd_)->submission.msg_flags & MSG_DONTWAIT, 0U);
  turns();
  ASSERT_NE(ring_.find(OpCode::send, fd_), nullptr);
  EXPECT_EQ(ring_.find(OpCode::send, fd_)->submission.msg_flags & MSG_DONTWAIT, 0U);
  EXPECT_FALSE(ended);
  ring_.set_send_room(fd_, 100);
  turns();
  EXPECT_TRUE(*ended);
  EXPECT_EQ(ring_.sent(fd_), "slow");
}

TEST_F(StreamSend, SignalsAreOff) {
  Ended ended;
  scope_.spawn(send_text(*stream_, "x", kSecond, ended));
  EXPECT_NE(ring_.find(OpCode::send, fd_)->submission.msg_flags & MSG_NOSIGNAL, 0U);
  turns();
}

// Cut anywhere, also in the middle of a piece and exactly between two.
TEST_F(StreamSend, ShortSendsAreContinuedWhereTheyEnded) {
  const std::vector<std::string> texts{"abc", "d", "efghij", "klm"};
  for (std::size_t most = 1; most <= 13; ++most) {
    ring_.options().send_most = most;
    ring_.clear_sent(fd_);
    Ended ended;
    scope_.spawn(send_pieces(*stream_, texts, kSecond, nullptr, ended));
    turns(20);
    ASSERT_TRUE(ended) << most;
    EXPECT_TRUE(*ended);
    EXPECT_EQ(ring_.sent(fd_), "abcdefghijklm") << most;
  }
}

TEST_F(StreamSend, AnInterruptedSendGoesOn) {
  ring_.options().sends_by_hand = true;
  Ended ended;
  scope_.spawn(send_text(*stream_, "abcd", kSecond, ended));
  for (const int result : {-EINTR, 1, -EAGAIN, 2, -EINTR, 1}) {
    EXPECT_FALSE(ended);
    ring_.complete_send(fd_, result);
    turns();
  }
  EXPECT_TRUE(*ended);
  EXPECT_EQ(ring_.sent(fd_), "abcd");
}

// The bytes that a slow reader has not taken are copied aside, and what held them is given back at
// once.
TEST_F(StreamSend, ASlowPeerDoesNotPinWhatIsSent) {
  ring::PieceQueue held;
  std::vector<std::string> texts;
  for (int i = 0; i < 4; ++i) {
    texts.push_back(numbered_text(100));
    ring::Piece piece = ring::Piece::on_heap(100);
    std::copy(texts.back().begin(), texts.back().end(), piece.data());
    held.push(std::move(piece));
  }
  std::vector<std::string> views(4);
  ring_.set_send_room(fd_, 150);
  const auto body = [](Stream& stream, ring::PieceQueue& queue, Ended& ended) -> ring::Task<> {
    std::vector<iovec> pieces;
    for (std::size_t i = 0; i < queue.size(); ++i) pieces.push_back(vector_of(queue[i].view()));
    const Result<> sent = co_await stream.send(pieces, kSecond, &queue);
    ended = sent;
  };
  Ended ended;
  scope_.spawn(body(*stream_, held, ended));
  EXPECT_EQ(held.size(), 4U);
  turns();
  EXPECT_FALSE(ended);
  EXPECT_TRUE(held.empty());
  EXPECT_EQ(ring_.sent(fd_).size(), 150U);
  ring_.set_send_room(fd_, SIZE_MAX);
  turns();
  EXPECT_TRUE(*ended);
  EXPECT_EQ(ring_.sent(fd_), texts[0] + texts[1] + texts[2] + texts[3]);
}

TEST_F(StreamSend, AFastPeerTakesTheHeldPiecesInPlace) {
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
  EXPECT_TRUE(*ended);
  EXPECT_EQ(held.size(), 1U);  // the caller's to drop
}

TEST_F(StreamSend, WithoutProgressItTimesOut) {
  ring_.set_send_room(fd_, 2);
  Ended ended;
  scope_.spawn(send_text(*stream_, "abcdef", 30 * kMillisecond, ended));
  pass(25 * kMillisecond);
  EXPECT_FALSE(ended);
  pass(15 * kMillisecond);
  ASSERT_TRUE(ended);
  ASSERT_FALSE(*ended);
  EXPECT_EQ(ended->error().code, Errc::timed_out);
  EXPECT_EQ(ended->error().source, Source::upstream);
  // The connection is of no use after that, and it was not the peer who closed it in order.
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  turns();
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::timed_out);
}

TEST_F(StreamSend, ProgressMovesTheStallDeadline) {
  ring_.set_send_room(fd_, 0);
  Ended ended;
  scope_.spawn(send_text(*stream_, "abcdef", 30 * kMillisecond, ended));
  for (int i = 0; i < 5; ++i) {
    pass(20 * kMillisecond);
    ASSERT_FALSE(ended);
    ring_.set_send_room(fd_, 1);
    turns();
  }
  pass(20 * kMillisecond);
  ring_.set_send_room(fd_, 1);
  turns();
  EXPECT_TRUE(*ended);
}

// Interruptions are no progress.
TEST_F(StreamSend, InterruptionsDoNotMoveTheStallDeadline) {
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

TEST_F(StreamSend, ASendThatFinishedLeavesNoTimer) {
  ring_.set_send_room(fd_, 0);
  Ended ended;
  scope_.spawn(send_text(*stream_, "ab", 30 * kMillisecond, ended));
  turns();
  ring_.set_send_room(fd_, SIZE_MAX);
  turns();
  EXPECT_TRUE(*ended);
  EXPECT_EQ(reactor_.timers().armed(), 0U);
  pass(100 * kMillisecond);
  EXPECT_EQ(stream_->end().code, Errc::none);
}

struct SendErrorCase {
  int error_number;
  Errc code;
};

class StreamSendError : public StreamTest, public ::testing::WithParamInterface<SendErrorCase> {};

TEST_P(StreamSendError, AnErrnoBecomesAnError) {
  ring_.options().sends_by_hand = true;
  Ended ended;
  scope_.spawn(send_text(*stream_, "x", kSecond, ended));
  ring_.complete_send(fd_, -GetParam().error_number);
  turns();
  ASSERT_TRUE(ended);
  ASSERT_FALSE(*ended);
  EXPECT_EQ(ended->error().code, GetParam().code);
  EXPECT_EQ(ended->error().sys_errno, GetParam().error_number);
}

INSTANTIATE_TEST_SUITE_P(Errnos, StreamSendError,
                         ::testing::Values(SendErrorCase{EPIPE, Errc::reset},
                                           SendErrorCase{ECONNRESET, Errc::reset},
                                           SendErrorCase{ETIMEDOUT, Errc::timed_out},
                                           SendErrorCase{EHOSTUNREACH, Errc::unreachable},
                                           SendErrorCase{ENOMEM, Errc::io}),
                         [](const auto& param) {
                           return std::string(strerrorname_np(param.param.error_number));
                         });

// The kernel tells of a reset once. When the send was told, the receive sees only an end: not an
// orderly one.
TEST_F(StreamSend, AnEndAfterABrokenSendIsNoOrderlyClose) {
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  turns();
  ring_.options().sends_by_hand = true;
  Ended ended;
  scope_.spawn(send_text(*stream_, "x", kSecond, ended));
  ring_.complete_send(fd_, -ECONNRESET);
  ring_.deliver(fd_, "what was on its way");
  ring_.end_of_stream(fd_);
  turns();
  EXPECT_EQ(got.text, "what was on its way");
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::reset);
}

TEST_F(StreamSend, MayGoOnAfterThePeersFin) {
  stream_->start_receiving();
  ring_.end_of_stream(fd_);
  turns();
  ASSERT_EQ(stream_->end().code, Errc::closed);
  Ended ended;
  scope_.spawn(send_text(*stream_, "answer", kSecond, ended));
  turns();
  EXPECT_TRUE(*ended);
  EXPECT_EQ(ring_.sent(fd_), "answer");
}

TEST_F(StreamSend, FailsAtOnceOnABrokenOrAbortedStream) {
  stream_->start_receiving();
  ring_.break_off(fd_, ECONNRESET);
  turns();
  Ended ended;
  scope_.spawn(send_text(*stream_, "x", kSecond, ended));
  ASSERT_TRUE(ended);  // without a turn
  EXPECT_EQ(ended->error().code, Errc::reset);
  stream_->abort();
  ended.reset();
  scope_.spawn(send_text(*stream_, "x", kSecond, ended));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->error().code, Errc::cancelled);
  EXPECT_EQ(ring_.prepared(OpCode::send), 0U);
}

TEST_F(StreamSend, AnIdleStreamIsSmall) {
  // Two streams and the relay's own state share 2 KiB a client stream.
  EXPECT_LE(sizeof(Stream), 512U);
}

}  // namespace
}  // namespace sluice::net
