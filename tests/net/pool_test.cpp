#include "sluice/net/pool.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "net_test.hpp"

namespace sluice::net {
namespace {

using ring::OpCode;

constexpr TimeNs kIdleNs = 500 * kMillisecond;
constexpr PoolKey kFirst{.endpoint = 1, .generation = 1};
constexpr PoolKey kSecondEndpoint{.endpoint = 2, .generation = 1};

class PoolTest : public NetTest {
 protected:
  PoolTest() { pool_.emplace(reactor_, 3, kIdleNs); }
  void TearDown() override {
    close_pool();
    NetTest::TearDown();
  }
  void close_pool() {
    if (!pool_) return;
    bool closed = false;
    const auto body = [](Pool& pool, bool& done) -> ring::Task<> {
      co_await pool.close();
      done = true;
    };
    scope_.spawn(body(*pool_, closed));
    turns();
    EXPECT_TRUE(closed);
    pool_.reset();
  }
  std::unique_ptr<Stream> connection() {
    return std::make_unique<Stream>(reactor_, ring_.make_fd(), Source::upstream);
  }
  int put(PoolKey key) {
    auto stream = connection();
    const int fd = stream->descriptor();
    pool_->put(key, std::move(stream));
    turns();
    return fd;
  }
  // Takes one and gives it to nobody: its descriptor, or -1.
  int take(PoolKey key) {
    auto stream = pool_->take(key);
    if (!stream) return -1;
    const int fd = stream->descriptor();
    pool_->discard(std::move(stream));
    turns();
    return fd;
  }
  static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

  std::optional<Pool> pool_;
};

TEST_F(PoolTest, GivesTheOneThatWasUsedLast) {
  const int first = put(kFirst);
  const int second = put(kFirst);
  EXPECT_NE(first, second);
  EXPECT_EQ(pool_->idle(), 2U);
  EXPECT_EQ(take(kFirst), second);
  EXPECT_EQ(take(kFirst), first);
  EXPECT_EQ(take(kFirst), -1);
  EXPECT_EQ(pool_->reused(), 2U);
}

TEST_F(PoolTest, KeepsEndpointsAndGenerationsApart) {
  const int first = put(kFirst);
  EXPECT_EQ(take(kSecondEndpoint), -1);
  EXPECT_EQ(take({.endpoint = 1, .generation = 2}), -1);
  EXPECT_EQ(take(kFirst), first);
}

TEST_F(PoolTest, TheOldestGoesWhenItIsFull) {
  const int oldest = put(kFirst);
  put(kSecondEndpoint);
  put(kFirst);
  EXPECT_TRUE(is_open(oldest));
  const int newest = put(kSecondEndpoint);
  EXPECT_EQ(pool_->idle(), 3U);
  EXPECT_EQ(ring_.in_flight_on(oldest), 0U);
  EXPECT_FALSE(is_open(oldest));
  EXPECT_EQ(take(kSecondEndpoint), newest);
}

TEST_F(PoolTest, WithoutRoomNothingIsKept) {
  Pool none(reactor_, 0, kIdleNs);
  auto stream = connection();
  const int fd = stream->descriptor();
  none.put(kFirst, std::move(stream));
  turns();
  EXPECT_EQ(none.idle(), 0U);
  EXPECT_FALSE(is_open(fd));
}

TEST_F(PoolTest, AnIdleOneIsClosedAfterItsTime) {
  const int first = put(kFirst);
  pass(300 * kMillisecond);
  const int second = put(kFirst);
  pass(190 * kMillisecond);
  EXPECT_TRUE(is_open(first));
  pass(20 * kMillisecond);
  EXPECT_FALSE(is_open(first));
  EXPECT_TRUE(is_open(second));
  EXPECT_EQ(pool_->idle(), 1U);
  pass(300 * kMillisecond);
  EXPECT_FALSE(is_open(second));
  EXPECT_EQ(reactor_.timers().armed(), 0U);
}

TEST_F(PoolTest, OneThatEndedIsDroppedAtOnce) {
  const int closes = put(kFirst);
  const int breaks = put(kFirst);
  const int stays = put(kFirst);
  ring_.end_of_stream(closes);
  ring_.break_off(breaks, ECONNRESET);
  turns();
  EXPECT_EQ(pool_->idle(), 1U);
  EXPECT_FALSE(is_open(closes));
  EXPECT_FALSE(is_open(breaks));
  EXPECT_EQ(take(kFirst), stays);
}

// Bytes that nobody asked for would be the next answer's first; and they would hold a receive
// buffer.
TEST_F(PoolTest, OneThatSpeaksUnaskedIsDroppedAtOnce) {
  const int talks = put(kFirst);
  ring_.deliver(talks, "HTTP/1.1 408 Request Timeout\r\n\r\n");
  turns();
  EXPECT_EQ(pool_->idle(), 0U);
  EXPECT_FALSE(is_open(talks));
  EXPECT_EQ(take(kFirst), -1);
}

TEST_F(PoolTest, OneThatEndedOrSpokeBeforeItWasPutIsNotKept) {
  for (const bool ends : {true, false}) {
    auto stream = connection();
    const int fd = stream->descriptor();
    stream->start_receiving();
    if (ends) {
      ring_.end_of_stream(fd);
    } else {
      ring_.deliver(fd, "surplus");
    }
    turns();
    pool_->put(kFirst, std::move(stream));
    turns();
    EXPECT_EQ(pool_->idle(), 0U);
    EXPECT_FALSE(is_open(fd));
  }
}

// Between the last turn and the take: the completion is in the ring, not yet seen.
TEST_F(PoolTest, AnEndThatIsSeenAfterTheTakeReachesTheNewOwner) {
  const int fd = put(kFirst);
  auto stream = pool_->take(kFirst);
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->descriptor(), fd);
  ring_.end_of_stream(fd);
  Got got;
  scope_.spawn(receive_one(*stream, 0, got));
  turns();
  EXPECT_EQ(got.error->code, Errc::closed);
  pool_->discard(std::move(stream));
  turns();
}

TEST_F(PoolTest, ATakenOneIsTheCallersToRead) {
  const int fd = put(kFirst);
  auto stream = pool_->take(kFirst);
  Got got;
  scope_.spawn(receive_one(*stream, 0, got));
  ring_.deliver(fd, "answer");
  turns();
  EXPECT_EQ(got.text, "answer");
  EXPECT_TRUE(is_open(fd));
  // And it may come back, and be watched again.
  pool_->put(kFirst, std::move(stream));
  turns();
  EXPECT_EQ(pool_->idle(), 1U);
  ring_.end_of_stream(fd);
  turns();
  EXPECT_EQ(pool_->idle(), 0U);
}

TEST_F(PoolTest, DiscardJoinsBeforeTheDescriptorIsClosed) {
  ring_.options().shutdown_by_hand = true;
  auto stream = connection();
  const int fd = stream->descriptor();
  stream->start_receiving();
  turns();
  pool_->discard(std::move(stream));
  turns();
  EXPECT_TRUE(is_open(fd));
  ring_.complete(OpCode::recv_multishot, fd, 0);
  turns();
  EXPECT_FALSE(is_open(fd));
  ring_.options().shutdown_by_hand = false;
}

TEST_F(PoolTest, CloseWaitsForWhatIsBeingClosed) {
  ring_.options().shutdown_by_hand = true;
  const int fd = put(kFirst);
  bool closed = false;
  const auto body = [](Pool& pool, bool& done) -> ring::Task<> {
    co_await pool.close();
    done = true;
  };
  scope_.spawn(body(*pool_, closed));
  turns();
  EXPECT_FALSE(closed);
  ring_.complete(OpCode::recv_multishot, fd, 0);
  turns();
  EXPECT_TRUE(closed);
  EXPECT_FALSE(is_open(fd));
  ring_.options().shutdown_by_hand = false;
}

// An exchange that ends while the pool closes may still give its connection back.
TEST_F(PoolTest, WhatIsPutAfterTheCloseIsClosed) {
  auto stream = connection();
  const int fd = stream->descriptor();
  bool closed = false;
  const auto body = [](Pool& pool, bool& done) -> ring::Task<> {
    co_await pool.close();
    done = true;
  };
  scope_.spawn(body(*pool_, closed));
  turns();
  EXPECT_TRUE(closed);
  pool_->put(kFirst, std::move(stream));
  turns();
  EXPECT_EQ(pool_->idle(), 0U);
  EXPECT_FALSE(is_open(fd));
}

}  // namespace
}  // namespace sluice::net
