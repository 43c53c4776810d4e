#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "net_test.hpp"

namespace sluice::net {
namespace {

using ring::OpCode;
using ring::testing::CancelOrder;

class StreamReceive : public StreamTest {};

TEST_F(StreamReceive, GivesBytesAsTheyArriveWithoutCopying) {
  Result<ring::Piece> got = fail(Errc::none);
  const auto body = [](Stream& stream, Result<ring::Piece>& out) -> ring::Task<> {
    out = co_await stream.receive(0);
  };
  scope_.spawn(body(*stream_, got));
  turns();
  EXPECT_FALSE(got);
  ring_.deliver(fd_, "hello");
  turns();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->view(), "hello");
  EXPECT_TRUE(got->in_pool());
}

TEST_F(StreamReceive, OneReceiveServesManyMessages) {
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  for (int i = 0; i < 20; ++i) {
    ring_.deliver(fd_, std::to_string(i) + ";");
    turns();
  }
  EXPECT_EQ(got.text, "0;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;");
  EXPECT_EQ(ring_.prepared(OpCode::recv_multishot), 1U);
  ring_.end_of_stream(fd_);
  turns();
}

TEST_F(StreamReceive, GoesOnWhenTheKernelEndsAMultishot) {
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  turns();
  ring_.end_multishot_after_next(fd_);
  ring_.deliver(fd_, "one");
  turns();
  ring_.deliver(fd_, "two");
  turns();
  EXPECT_EQ(got.text, "onetwo");
  EXPECT_EQ(ring_.prepared(OpCode::recv_multishot), 2U);
  ring_.end_of_stream(fd_);
  turns();
}

TEST_F(StreamReceive, ADeadlineLeavesTheStreamUsable) {
  Got got;
  scope_.spawn(receive_one(*stream_, clock_.monotonic_ns() + 10 * kMillisecond, got));
  pass(9 * kMillisecond);
  EXPECT_FALSE(got.error);
  pass(6 * kMillisecond);
  ASSERT_TRUE(got.error);
  EXPECT_EQ(*got.error, (Error{Errc::timed_out, Source::upstream, Retry::no, 0}));
  EXPECT_EQ(stream_->end().code, Errc::none);
  got = {};
  scope_.spawn(receive_one(*stream_, 0, got));
  ring_.deliver(fd_, "late");
  turns();
  EXPECT_EQ(got.text, "late");
}

// The timer of an earlier call is not taken down when data come: it may not end a later call.
TEST_F(StreamReceive, AnOldDeadlineDoesNotEndALaterCall) {
  Got got;
  scope_.spawn(receive_one(*stream_, clock_.monotonic_ns() + 10 * kMillisecond, got));
  turns();
  ring_.deliver(fd_, "a");
  turns();
  scope_.spawn(receive_one(*stream_, 0, got));
  pass(50 * kMillisecond);
  EXPECT_FALSE(got.error);
  ring_.deliver(fd_, "b");
  turns();
  scope_.spawn(receive_one(*stream_, clock_.monotonic_ns() + 500 * kMillisecond, got));
  pass(450 * kMillisecond);
  EXPECT_FALSE(got.error);
  pass(100 * kMillisecond);
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::timed_out);
  EXPECT_EQ(got.text, "ab");
}

TEST_F(StreamReceive, BytesThatCameBeforeTheCallCostNoSuspension) {
  stream_->start_receiving();
  ring_.deliver(fd_, "early");
  turns();
  EXPECT_TRUE(stream_->has_received());
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  EXPECT_EQ(got.text, "early");  // without a turn
}

TEST_F(StreamReceive, UnreadBytesComeFirst) {
  ring_.options().receive_most = 4;
  stream_->start_receiving();
  ring_.deliver(fd_, "aaaabbbbccccdddd");
  turns();
  const auto body = [](Stream& stream, Got& got) -> ring::Task<> {
    Result<ring::Piece> first = co_await stream.receive(0);
    ring::Piece rest = std::move(*first);
    rest.drop_front(3);
    stream.unread(std::move(rest));
    stream.unread(ring::Piece());  // nothing left is no piece
    for (int i = 0; i < 4; ++i) co_await receive_one(stream, 0, got);
  };
  Got got;
  scope_.spawn(body(*stream_, got));
  EXPECT_EQ(got.pieces, (std::vector<std::string>{"a", "bbbb", "cccc", "dddd"}));
}

TEST_F(StreamReceive, WhatCameBeforeTheEndIsGivenFirst) {
  stream_->start_receiving();
  ring_.deliver(fd_, "last words");
  ring_.end_of_stream(fd_);
  turns();
  EXPECT_EQ(stream_->end().code, Errc::closed);
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  EXPECT_EQ(got.text, "last words");
  EXPECT_EQ(*got.error, (Error{Errc::closed, Source::upstream, Retry::no, 0}));
  Got again;
  scope_.spawn(receive_one(*stream_, 0, again));
  EXPECT_EQ(again.error->code, Errc::closed);
}

struct EndCase {
  int error_number;
  Errc code;
  Retry retry;
};

class StreamEnd : public StreamTest, public ::testing::WithParamInterface<EndCase> {};

// A connection that stood may have carried the request: only a reset of a reused one is safely
// tried again.
TEST_P(StreamEnd, AnErrnoBecomesAnError) {
  const EndCase& expected = GetParam();
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  ring_.break_off(fd_, expected.error_number);
  turns();
  ASSERT_TRUE(got.error);
  EXPECT_EQ(*got.error,
            (Error{expected.code, Source::upstream, expected.retry, expected.error_number}));
  EXPECT_EQ(stream_->end(), *got.error);
}

INSTANTIATE_TEST_SUITE_P(Errnos, StreamEnd,
                         ::testing::Values(EndCase{ECONNRESET, Errc::reset, Retry::no},
                                           EndCase{EPIPE, Errc::reset, Retry::no},
                                           EndCase{ECONNABORTED, Errc::reset, Retry::no},
                                           EndCase{ETIMEDOUT, Errc::timed_out, Retry::no},
                                           EndCase{EHOSTUNREACH, Errc::unreachable, Retry::no},
                                           EndCase{ENETDOWN, Errc::unreachable, Retry::no},
                                           EndCase{EIO, Errc::io, Retry::no}),
                         [](const auto& param) {
                           return std::string(strerrorname_np(param.param.error_number));
                         });

TEST_F(StreamReceive, InterruptedReceivesAreArmedAgain) {
  for (const int error_number : {EINTR, EAGAIN}) {
    Got got;
    scope_.spawn(receive_one(*stream_, 0, got));
    turns();
    ring_.break_off(fd_, error_number);
    turns();
    EXPECT_FALSE(got.error);
    ring_.deliver(fd_, "ok");
    turns();
    EXPECT_EQ(got.text, "ok");
  }
}

class StreamCredit : public StreamTest {
 protected:
  StreamCredit()
      : StreamTest({.buffer_count = 256,
                    .buffer_bytes = 4096,
                    .incremental = false,
                    .receive_limit = false}) {}
  void drain(Got& got, std::size_t bytes) {
    const auto body = [](Stream& stream, Got& out, std::size_t least) -> ring::Task<> {
      while (out.text.size() < least && stream.has_received()) co_await receive_one(stream, 0, out);
    };
    scope_.spawn(body(*stream_, got, bytes));
  }
};

TEST_F(StreamCredit, ReadingStopsWhenNobodyTakesTheBytesAndGoesOnAtHalf) {
  for (const CancelOrder order : {CancelOrder::cancel_first, CancelOrder::target_first}) {
    ring_.options().cancel_order = order;
    stream_->start_receiving();
    const std::string text = numbered_text(Stream::kReceiveCredit + 100'000);
    // As a sender would: a little at a time.
    std::size_t given = 0;
    while (given < text.size()) {
      ring_.deliver(fd_, std::string_view(text).substr(given, 5000));
      given += std::min<std::size_t>(5000, text.size() - given);
      turns(1);
    }
    turns();
    EXPECT_EQ(ring_.in_flight(OpCode::recv_multishot, fd_), 0U);
    const std::size_t waiting = text.size() - ring_.undelivered(fd_);
    EXPECT_GE(waiting, Stream::kReceiveCredit);
    EXPECT_LT(waiting, Stream::kReceiveCredit + 3 * 5000);
    Got got;
    drain(got, waiting - Stream::kReceiveCredit / 2 - 4096);
    turns();
    EXPECT_EQ(ring_.in_flight(OpCode::recv_multishot, fd_), 0U) << "too early";
    drain(got, waiting - Stream::kReceiveCredit / 2 + 4096);
    turns();
    EXPECT_LT(ring_.undelivered(fd_), text.size() - waiting) << "reading goes on";
    while (got.text.size() < text.size() && stream_->has_received()) {
      drain(got, text.size());
      turns();
    }
    EXPECT_TRUE(got.text == text);
  }
}

// All of it is there at once: the kernel itself stops at the credit.
TEST_F(StreamCredit, ASenderThatIsAheadGetsNoMoreThanItsCredit) {
  ring_.options().receive_limit = true;
  stream_->start_receiving();
  const std::string text = numbered_text(4 * Stream::kReceiveCredit);
  ring_.deliver(fd_, text);
  turns();
  EXPECT_EQ(text.size() - ring_.undelivered(fd_), Stream::kReceiveCredit);
  EXPECT_EQ(ring_.prepared(OpCode::cancel), 0U);
  Got got;
  while (stream_->has_received()) {
    drain(got, got.text.size() + 1);
    turns();
    EXPECT_LT(text.size() - ring_.undelivered(fd_) - got.text.size(),
              Stream::kReceiveCredit + 4096);
  }
  EXPECT_TRUE(got.text == text);
}

// The cancel's own completion comes first and says nothing; the receive ends when it ends.
TEST_F(StreamCredit, MayBeLess) {
  constexpr std::uint32_t kLess = 24 * 1024;
  for (const bool kernel_limit : {true, false}) {
    ring_.options().receive_limit = kernel_limit;
    stream_->set_receive_credit(kLess);
    stream_->start_receiving();
    const std::string text = numbered_text(3 * kLess);
    for (std::size_t given = 0; given < text.size(); given += 1000) {
      ring_.deliver(fd_, std::string_view(text).substr(given, 1000));
      turns(1);
    }
    turns();
    EXPECT_GE(text.size() - ring_.undelivered(fd_), kLess);
    EXPECT_LT(text.size() - ring_.undelivered(fd_), kLess + 3 * 1000);
    Got got;
    while (got.text.size() < text.size() && stream_->has_received()) {
      drain(got, got.text.size() + 1);
      turns();
    }
    EXPECT_TRUE(got.text == text);
  }
}

TEST_F(StreamCredit, TheTargetOfACancelMayEndMuchLater) {
  ring_.options().cancel_order = CancelOrder::by_hand;
  stream_->start_receiving();
  const std::string text = numbered_text(Stream::kReceiveCredit);
  ring_.deliver(fd_, text);
  turns();
  ASSERT_GE(ring_.prepared(OpCode::cancel), 1U);
  Got got;
  drain(got, text.size());  // all is taken while the old receive is still in flight
  turns();
  EXPECT_EQ(got.text.size(), text.size());
  EXPECT_EQ(ring_.prepared(OpCode::recv_multishot), 1U);
  ring_.complete(OpCode::recv_multishot, fd_, -ECANCELED);
  turns();
  EXPECT_EQ(ring_.in_flight(OpCode::recv_multishot, fd_), 1U);
  ring_.deliver(fd_, "more");
  turns();
  got = {};
  drain(got, 4);
  EXPECT_EQ(got.text, "more");
}

TEST_F(StreamCredit, BytesThatArriveBetweenCancelAndEndAreKept) {
  ring_.options().cancel_order = CancelOrder::by_hand;
  stream_->start_receiving();
  ring_.deliver(fd_, numbered_text(Stream::kReceiveCredit));
  turns();
  for (int i = 0; i < 3; ++i) {
    ring_.deliver(fd_, "more");
    turns();
  }
  EXPECT_EQ(ring_.prepared(OpCode::cancel), 1U);  // asked once
  ring_.end_multishot_after_next(fd_);
  ring_.deliver(fd_, "tail");
  turns();
  Got got;
  drain(got, SIZE_MAX);
  EXPECT_EQ(got.text, numbered_text(Stream::kReceiveCredit) + "moremoremoretail");
}

// A sender of single bytes may take a buffer with each: pieces are bounded as well as bytes.
TEST_F(StreamCredit, ManySmallPiecesStopReadingToo) {
  stream_->start_receiving();
  const std::string text = numbered_text(2000);
  for (const char byte : text) {
    ring_.deliver(fd_, {&byte, 1});
    turns(1);
  }
  turns();
  EXPECT_GT(ring_.undelivered(fd_), 1500U);
  EXPECT_EQ(ring_.in_flight(OpCode::recv_multishot, fd_), 0U);
  Got got;
  while (stream_->has_received()) {
    drain(got, got.text.size() + 1);
    turns();
  }
  EXPECT_EQ(got.text, text);
}

class StreamStarved : public StreamTest {
 protected:
  StreamStarved() : StreamTest({.buffer_count = 8, .buffer_bytes = 16, .incremental = false}) {}
  // Takes all buffers away, as another connection would.
  void take_all() {
    other_fd_ = ring_.make_fd();
    other_.emplace(reactor_, other_fd_, Source::client);
    const auto hoard = [](Stream& stream, std::vector<ring::Piece>& pieces) -> ring::Task<> {
      while (pieces.size() < 8) {
        Result<ring::Piece> got = co_await stream.receive(0);
        if (!got) co_return;
        pieces.push_back(std::move(*got));
      }
    };
    scope_.spawn(hoard(*other_, hoard_));
    for (int i = 0; i < 8; ++i) {
      ring_.deliver(other_fd_, std::string(16, 'o'));
      turns();
    }
    ASSERT_EQ(reactor_.buffers().available(), 0U);
  }
  void TearDown() override {
    hoard_.clear();
    if (other_) close(*other_);
    other_.reset();
    StreamTest::TearDown();
  }

  int other_fd_ = -1;
  std::optional<Stream> other_;
  std::vector<ring::Piece> hoard_;
};

TEST_F(StreamStarved, GoesOnWhenBuffersReturn) {
  take_all();
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  ring_.deliver(fd_, "patience");
  turns();
  EXPECT_GE(reactor_.stats().starved_receives, 1U);
  EXPECT_EQ(got.text, "");
  hoard_.pop_back();
  turns();
  EXPECT_EQ(got.text, "patience");
}

// It starved while nobody was in receive(); the call that comes then must find it waiting already.
TEST_F(StreamStarved, ReceivingWhileItWaitsForBuffersIsNoSecondWait) {
  take_all();
  stream_->start_receiving();
  ring_.deliver(fd_, "x");
  turns();
  EXPECT_EQ(ring_.in_flight(OpCode::recv_multishot, fd_), 0U);
  Got got;
  scope_.spawn(receive_one(*stream_, clock_.monotonic_ns() + 20 * kMillisecond, got));
  pass(30 * kMillisecond);
  EXPECT_EQ(got.error->code, Errc::timed_out);
  got = {};
  scope_.spawn(receive_one(*stream_, 0, got));
  turns();
  hoard_.clear();
  turns();
  EXPECT_EQ(got.text, "x");
}

// Eight connections that sent a byte which nobody takes hold all eight buffers: for ever, if they
// liked.
TEST_F(StreamStarved, BytesThatNobodyTakesDoNotStarveTheOthers) {
  std::vector<std::unique_ptr<Stream>> idlers;
  for (int i = 0; i < 8; ++i) {
    const int fd = ring_.make_fd();
    idlers.push_back(std::make_unique<Stream>(reactor_, fd, Source::client));
    idlers.back()->start_receiving();
    ring_.deliver(fd, std::string(1, static_cast<char>('a' + i)));
  }
  turns();
  ASSERT_EQ(reactor_.buffers().available(), 0U);
  Got got;
  scope_.spawn(receive_all(*stream_, got));
  const std::string text = numbered_text(1000);
  ring_.deliver(fd_, text);
  turns(40);
  EXPECT_EQ(got.text, text);
  // And they still have their bytes.
  for (int i = 0; i < 8; ++i) {
    Got theirs;
    Stream& idler = *idlers[static_cast<std::size_t>(i)];
    scope_.spawn(receive_one(idler, 0, theirs));
    EXPECT_EQ(theirs.text, std::string(1, static_cast<char>('a' + i)));
    close(idler);
  }
  ring_.end_of_stream(fd_);
  turns();
}

TEST_F(StreamStarved, ADeadlineEndsAStarvedReceiveToo) {
  take_all();
  Got got;
  scope_.spawn(receive_one(*stream_, clock_.monotonic_ns() + 20 * kMillisecond, got));
  pass(30 * kMillisecond);
  EXPECT_EQ(got.error->code, Errc::timed_out);
}

TEST_F(StreamStarved, AbortAndCloseWhileStarved) {
  take_all();
  Got got;
  scope_.spawn(receive_one(*stream_, 0, got));
  turns();
  stream_->abort();
  turns();
  EXPECT_EQ(got.error->code, Errc::cancelled);
  close(*stream_);
  hoard_.clear();
  turns();
}

}  // namespace
}  // namespace sluice::net
