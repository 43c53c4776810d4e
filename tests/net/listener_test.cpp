#include "sluice/net/listener.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "net_test.hpp"

namespace sluice::net {
namespace {

using ring::OpCode;
using ring::testing::CancelOrder;

class ListenerTest : public NetTest {
 protected:
  void TearDown() override {
    listener_.stop();
    turns();
    EXPECT_FALSE(listener_.in_flight());
    NetTest::TearDown();
    ::close(fd_);
  }

  int fd_ = ring_.make_fd();
  bool open_ = true;
  std::vector<int> accepted_;
  Listener listener_{
      reactor_, fd_,
      [](void* context, int fd) { static_cast<ListenerTest*>(context)->accepted_.push_back(fd); },
      [](void* context) { return static_cast<ListenerTest*>(context)->open_; }, this};
};

TEST_F(ListenerTest, ArmsOneAcceptAtATime) {
  listener_.arm();
  listener_.arm();
  turns();
  EXPECT_EQ(ring_.in_flight(OpCode::accept, fd_), 1U);
  ring_.complete(OpCode::accept, fd_, 100);
  turns();
  EXPECT_EQ(accepted_, std::vector<int>{100});
  EXPECT_EQ(ring_.in_flight(OpCode::accept, fd_), 1U);
  EXPECT_EQ(ring_.prepared(OpCode::accept), 2U);
}

TEST_F(ListenerTest, AcceptsOnlyWhileTheGateIsOpen) {
  open_ = false;
  listener_.arm();
  turns();
  EXPECT_EQ(ring_.prepared(OpCode::accept), 0U);
  open_ = true;
  listener_.arm();
  turns();
  EXPECT_EQ(ring_.prepared(OpCode::accept), 1U);
  open_ = false;
  ring_.complete(OpCode::accept, fd_, 100);
  turns();
  EXPECT_EQ(accepted_.size(), 1U);
  EXPECT_FALSE(listener_.in_flight());
}

// A connection that broke before it was taken is nobody's fault: the next one follows at once.
TEST_F(ListenerTest, ABrokenConnectionIsPassedOver) {
  listener_.arm();
  for (const int error_number : {ECONNABORTED, EINTR, EAGAIN, EPROTO, EHOSTUNREACH}) {
    ring_.complete(OpCode::accept, fd_, -error_number);
    turns();
    EXPECT_TRUE(listener_.in_flight()) << error_number;
  }
  EXPECT_EQ(listener_.failures(), 0U);
  EXPECT_TRUE(accepted_.empty());
}

// Anything that would fail again at once is tried again after a pause: a loop would take the whole
// core.
TEST_F(ListenerTest, LackOfDescriptorsOrABrokenSocketWaits) {
  std::uint64_t failures = 0;
  listener_.arm();
  for (const int error_number : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL, EBADF}) {
    ring_.complete(OpCode::accept, fd_, -error_number);
    turns();
    EXPECT_EQ(listener_.failures(), ++failures) << error_number;
    EXPECT_FALSE(listener_.in_flight()) << error_number;
    listener_.arm();  // somebody closed a connection: still too early
    EXPECT_FALSE(listener_.in_flight());
    pass(40 * kMillisecond);
    EXPECT_FALSE(listener_.in_flight());
    pass(20 * kMillisecond);
    EXPECT_TRUE(listener_.in_flight()) << error_number;
  }
}

TEST_F(ListenerTest, AStoppedListenerStaysStopped) {
  for (const CancelOrder order : {CancelOrder::cancel_first, CancelOrder::target_first}) {
    ring_.options().cancel_order = order;
    listener_.arm();
  }
  listener_.stop();
  EXPECT_TRUE(listener_.in_flight());
  turns();
  EXPECT_FALSE(listener_.in_flight());
  listener_.arm();
  EXPECT_FALSE(listener_.in_flight());
}

TEST_F(ListenerTest, StopEndsTheBackOff) {
  listener_.arm();
  ring_.complete(OpCode::accept, fd_, -EMFILE);
  turns();
  listener_.stop();
  pass(100 * kMillisecond);
  EXPECT_FALSE(listener_.in_flight());
  EXPECT_EQ(reactor_.timers().armed(), 0U);
}

// The cancel came too late: the connection is there, and somebody must own it.
TEST_F(ListenerTest, AConnectionThatWinsAgainstTheStopIsHandedOver) {
  ring_.options().cancel_order = CancelOrder::by_hand;
  listener_.arm();
  turns();
  listener_.stop();
  turns();
  ring_.complete(OpCode::accept, fd_, 100);
  turns();
  EXPECT_EQ(accepted_, std::vector<int>{100});
  EXPECT_FALSE(listener_.in_flight());
}

}  // namespace
}  // namespace sluice::net
