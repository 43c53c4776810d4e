// Abort, close, connect, and who is told.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "net_test.hpp"

namespace sluice::net {
namespace {

using ring::OpCode;
using ring::testing::CancelOrder;

class StreamLifetime : public StreamTest {};

const Address& somewhere() {
  static const Address address = *parse_address("127.0.0.1:9");
  return address;
}

TEST_F(StreamLifetime, AbortEndsAWaitingReceive) {
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  turns();
  stream_->abort();
  stream_->abort();
  turns();
  ASSERT_TRUE(got.error);
  EXPECT_EQ(*got.error, (Error{Errc::cancelled, Source::self, Retry::no, 0}));
}

TEST_F(StreamLifetime, AbortEndsAWaitingSend) {
  ring_.set_send_room(fd_, 1);
  Ended ended;
  scope_.spawn(send_text(*stream_, "abc", kSecond, ended));
  turns();
  EXPECT_FALSE(ended);
  stream_->abort();
  turns();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->error(), (Error{Errc::cancelled, Source::self, Retry::no, 0}));
}

TEST_F(StreamLifetime, AbortEndsBothDirectionsAtOnce) {
  ring_.set_send_room(fd_, 0);
  Got got;
  Ended ended;
  scope_.spawn(receive_one(*stream_, 0, got));
  scope_.spawn(send_text(*stream_, "abc", kSecond, ended));
  turns();
  stream_->abort();
  turns();
  EXPECT_EQ(got.error->code, Errc::cancelled);
  EXPECT_EQ(ended->error().code, Errc::cancelled);
}

TEST_F(StreamLifetime, AbortForgetsWhatWasReceivedAndWhatStillComes) {
  ring_.options().shutdown_by_hand = true;
  stream_->start_receiving();
  ring_.deliver(fd_, "before");
  turns();
  stream_->abort();
  EXPECT_FALSE(stream_->has_received());
  ring_.deliver(fd_, "after");  // was on its way
  turns();
  EXPECT_FALSE(stream_->has_received());
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  EXPECT_EQ(got.error->code, Errc::cancelled);
  ring_.options().shutdown_by_hand = false;
}

// Whoever sends on after we gave up is not read for ever.
TEST_F(StreamLifetime, AfterAnAbortASenderIsNotReadOn) {
  ring_.options().shutdown_by_hand = true;
  stream_->start_receiving();
  turns();
  stream_->abort();
  for (int i = 0; i < 5; ++i) {
    ring_.deliver(fd_, "more and more");
    turns(1);
  }
  turns();
  EXPECT_EQ(ring_.in_flight(OpCode::recv_multishot, fd_), 0U);
  ring_.options().shutdown_by_hand = false;
}

TEST_F(StreamLifetime, CloseJoinsEveryOperationBeforeTheDescriptorIsClosed) {
  ring_.options().shutdown_by_hand = true;
  ring_.options().sends_by_hand = true;
  Got got;
  Ended ended;
  scope_.spawn(receive_one(*stream_, 0, got));
  scope_.spawn(send_text(*stream_, "abc", kSecond, ended));
  turns();
  bool closed = false;
  scope_.spawn(close_stream(*stream_, closed));
  turns();
  EXPECT_FALSE(closed);
  EXPECT_GE(fcntl(fd_, F_GETFD), 0);
  ring_.complete(OpCode::recv_multishot, fd_, 0);
  turns();
  EXPECT_FALSE(closed);
  EXPECT_GE(fcntl(fd_, F_GETFD), 0);
  ring_.complete_send(fd_, -EPIPE);
  turns();
  EXPECT_TRUE(closed);
  EXPECT_EQ(fcntl(fd_, F_GETFD), -1);
  EXPECT_EQ(stream_->descriptor(), -1);
  EXPECT_EQ(got.error->code, Errc::cancelled);
  EXPECT_EQ(ended->error().code, Errc::cancelled);
}

// A cancelled or interrupted send may have made progress: that is no success, the message is not
// whole.
TEST_F(StreamLifetime, AnAbortedSendWithProgressIsStillCancelled) {
  ring_.options().shutdown_by_hand = true;
  ring_.options().sends_by_hand = true;
  Ended ended;
  scope_.spawn(send_text(*stream_, "abc", kSecond, ended));
  turns();
  stream_->abort();
  ring_.complete_send(fd_, 2);
  turns();
  EXPECT_EQ(ended->error().code, Errc::cancelled);
}

TEST_F(StreamLifetime, CloseOfAnIdleStreamDoesNotSuspend) {
  bool closed = false;
  EXPECT_TRUE(ring_.keeps(fd_));
  scope_.spawn(close_stream(*stream_, closed));
  EXPECT_TRUE(closed);
  EXPECT_FALSE(ring_.keeps(fd_));
}

TEST_F(StreamLifetime, CloseMayBeRepeated) {
  close(*stream_);
  close(*stream_);
  stream_->abort();
  stream_->shutdown_send();
}

struct Watched {
  int calls = 0;
  Error end;
  static void on_end(void* context, const Error& end) {
    auto& self = *static_cast<Watched*>(context);
    ++self.calls;
    self.end = end;
  }
};

TEST_F(StreamLifetime, TheWatcherIsToldOnceOfThePeersEnd) {
  Watched watched;
  stream_->watch_end(&Watched::on_end, &watched);
  stream_->start_receiving();
  turns();
  ring_.end_of_stream(fd_);
  turns();
  EXPECT_EQ(watched.calls, 1);
  EXPECT_EQ(watched.end.code, Errc::closed);
  stream_->abort();
  turns();
  EXPECT_EQ(watched.calls, 1);
}

TEST_F(StreamLifetime, TheWatcherIsToldOfAnAbort) {
  Watched watched;
  stream_->watch_end(&Watched::on_end, &watched);
  stream_->abort();
  EXPECT_EQ(watched.calls, 1);
  EXPECT_EQ(watched.end.code, Errc::cancelled);
}

TEST_F(StreamLifetime, ACloseTellsNobody) {
  Watched watched;
  stream_->watch_end(&Watched::on_end, &watched);
  stream_->start_receiving();
  turns();
  close(*stream_);
  EXPECT_EQ(watched.calls, 0);
}

TEST_F(StreamLifetime, AWatcherMayAbortTheStream) {
  stream_->watch_end([](void* context, const Error&) { static_cast<Stream*>(context)->abort(); },
                     &*stream_);
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  ring_.end_of_stream(fd_);
  turns();
  EXPECT_TRUE(got.error);
}

TEST_F(StreamLifetime, AHalfClosedStreamGoesOnReceiving) {
  stream_->shutdown_send();
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  ring_.deliver(fd_, "answer");
  turns();
  EXPECT_EQ(got.text, "answer");
}

// ---- connect

TEST_F(StreamLifetime, ConnectSucceeds) {
  Ended ended;
  scope_.spawn(connect_to(*stream_, somewhere(), clock_.monotonic_ns() + kSecond, ended));
  EXPECT_EQ(ring_.in_flight(OpCode::connect, fd_), 1U);
  turns();
  EXPECT_FALSE(ended);
  ring_.complete(OpCode::connect, fd_, 0);
  turns();
  ASSERT_TRUE(ended);
  EXPECT_TRUE(*ended);
  EXPECT_EQ(reactor_.timers().armed(), 0U);
  Ended sent;
  scope_.spawn(send_text(*stream_, "hello", kSecond, sent));
  turns();
  EXPECT_TRUE(*sent);
}

struct ConnectCase {
  int error_number;
  Errc code;
  Source source;
};

class StreamConnect : public StreamTest, public ::testing::WithParamInterface<ConnectCase> {};

// Nothing was sent: another address or another try may help.
TEST_P(StreamConnect, AnErrnoBecomesAnError) {
  Ended ended;
  scope_.spawn(connect_to(*stream_, somewhere(), clock_.monotonic_ns() + kSecond, ended));
  ring_.complete(OpCode::connect, fd_, -GetParam().error_number);
  turns();
  ASSERT_TRUE(ended);
  ASSERT_FALSE(*ended);
  EXPECT_EQ(ended->error(),
            (Error{GetParam().code, GetParam().source, Retry::yes, GetParam().error_number}));
}

INSTANTIATE_TEST_SUITE_P(
    Errnos, StreamConnect,
    ::testing::Values(ConnectCase{ECONNREFUSED, Errc::refused, Source::upstream},
                      ConnectCase{ECONNRESET, Errc::reset, Source::upstream},
                      ConnectCase{EHOSTUNREACH, Errc::unreachable, Source::upstream},
                      ConnectCase{ENETUNREACH, Errc::unreachable, Source::upstream},
                      ConnectCase{ENETDOWN, Errc::unreachable, Source::upstream},
                      ConnectCase{ETIMEDOUT, Errc::timed_out, Source::upstream},
                      ConnectCase{EADDRNOTAVAIL, Errc::full, Source::self},
                      ConnectCase{EACCES, Errc::refused, Source::upstream},
                      ConnectCase{EPERM, Errc::refused, Source::upstream}),
    [](const auto& param) { return std::string(strerrorname_np(param.param.error_number)); });

TEST_F(StreamLifetime, ConnectTimesOut) {
  for (const CancelOrder order : {CancelOrder::cancel_first, CancelOrder::target_first}) {
    ring_.options().cancel_order = order;
    const int fd = ring_.make_fd();
    Stream stream(reactor_, fd, Source::upstream);
    Ended ended;
    scope_.spawn(connect_to(stream, somewhere(), clock_.monotonic_ns() + 20 * kMillisecond, ended));
    pass(15 * kMillisecond);
    EXPECT_FALSE(ended);
    pass(10 * kMillisecond);
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->error().code, Errc::timed_out);
    EXPECT_EQ(ended->error().retry, Retry::yes);
    close(stream);
  }
}

TEST_F(StreamLifetime, AbortEndsAConnect) {
  Ended ended;
  scope_.spawn(connect_to(*stream_, somewhere(), clock_.monotonic_ns() + kSecond, ended));
  turns();
  stream_->abort();
  turns();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->error().code, Errc::cancelled);
}

// The connection was made in the moment it was given up.
TEST_F(StreamLifetime, AConnectThatWinsAgainstTheAbortIsCancelledAllTheSame) {
  ring_.options().cancel_order = CancelOrder::by_hand;
  Ended ended;
  scope_.spawn(connect_to(*stream_, somewhere(), clock_.monotonic_ns() + kSecond, ended));
  turns();
  stream_->abort();
  ring_.complete(OpCode::connect, fd_, 0);
  turns();
  ASSERT_TRUE(ended);
  ASSERT_FALSE(*ended);
  EXPECT_EQ(ended->error().code, Errc::cancelled);
}

TEST_F(StreamLifetime, ConnectOnAnAbortedStreamFailsAtOnce) {
  stream_->abort();
  Ended ended;
  scope_.spawn(connect_to(*stream_, somewhere(), clock_.monotonic_ns() + kSecond, ended));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->error().code, Errc::cancelled);
}

using StreamDeathTest = StreamLifetime;

TEST_F(StreamDeathTest, AStreamMustBeClosedFirst) {
  EXPECT_DEATH({ const Stream stream(reactor_, ring_.make_fd(), Source::client); }, "fd_ < 0");
}

}  // namespace
}  // namespace sluice::net
