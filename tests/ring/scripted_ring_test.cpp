// The twin itself: it notices what code under test may do wrong.
#include "scripted_ring.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

namespace sluice::ring::testing {
namespace {

std::vector<Completion> turn(ScriptedRing& ring) {
  std::vector<Completion> out(64);
  out.resize(ring.enter(out, 0));
  return out;
}

Submission receive(int fd) { return {.code = OpCode::recv_multishot, .fd = fd, .user_data = 1}; }
Submission send(int fd, std::string_view text) {
  return {.code = OpCode::send,
          .fd = fd,
          .address = text.data(),
          .length = static_cast<std::uint32_t>(text.size()),
          .user_data = 2};
}

TEST(ScriptedRing, BytesArriveInProvidedBuffers) {
  ScriptedRing ring({.buffer_count = 2, .buffer_bytes = 4});
  const int fd = ring.make_fd();
  ring.deliver(fd, "abcdefghij");
  ring.prepare(receive(fd));
  const auto got = turn(ring);
  ASSERT_EQ(got.size(), 3U);
  EXPECT_EQ(std::string(ring.buffer_data(got[0].buffer), 4), "abcd");
  EXPECT_EQ(std::string(ring.buffer_data(got[1].buffer), 4), "efgh");
  EXPECT_TRUE(got[1].more);
  EXPECT_FALSE(got[1].buffer_more);
  EXPECT_EQ(got[2].result, -ENOBUFS);
  EXPECT_FALSE(got[2].more);
  EXPECT_EQ(ring.undelivered(fd), 2U);
  EXPECT_EQ(ring.check(), "2 buffers not returned\n");
  ring.provide(0);
  ring.provide(1);
  EXPECT_EQ(ring.check(), "");
  ::close(fd);
}

TEST(ScriptedRing, IncrementalReceivesShareABuffer) {
  ScriptedRing ring({.buffer_count = 2, .buffer_bytes = 8, .receive_most = 3});
  const int fd = ring.make_fd();
  ring.prepare(receive(fd));
  ring.deliver(fd, "abcdefgh");
  const auto got = turn(ring);
  ASSERT_EQ(got.size(), 3U);
  EXPECT_EQ(got[0].buffer, got[2].buffer);
  EXPECT_TRUE(got[1].buffer_more);
  EXPECT_FALSE(got[2].buffer_more);
  ring.provide(got[0].buffer);
  ring.end_of_stream(fd);
  EXPECT_EQ(turn(ring).at(0).result, 0);
  EXPECT_EQ(ring.check(), "");
  ::close(fd);
}

TEST(ScriptedRing, SendsGoAsFarAsThereIsRoom) {
  ScriptedRing ring;
  const int fd = ring.make_fd();
  ring.set_send_room(fd, 3);
  ring.prepare(send(fd, "abcdef"));
  EXPECT_EQ(turn(ring).at(0).result, 3);
  Submission impatient = send(fd, "def");
  impatient.msg_flags = MSG_DONTWAIT;
  ring.prepare(impatient);
  EXPECT_EQ(turn(ring).at(0).result, -EAGAIN);
  ring.prepare(send(fd, "def"));
  EXPECT_TRUE(turn(ring).empty());
  ring.set_send_room(fd, 100);
  EXPECT_EQ(turn(ring).at(0).result, 3);
  EXPECT_EQ(ring.sent(fd), "abcdef");
  EXPECT_EQ(ring.check(), "");
  ::close(fd);
}

TEST(ScriptedRing, NoticesTwoSendsInFlight) {
  ScriptedRing ring({.sends_by_hand = true});
  const int fd = ring.make_fd();
  ring.prepare(send(fd, "a"));
  ring.prepare(send(fd, "b"));
  EXPECT_NE(ring.check().find("two sends"), std::string::npos);
  ::close(fd);
}

TEST(ScriptedRing, NoticesMemoryThatChangesUnderASend) {
  ScriptedRing ring({.sends_by_hand = true});
  const int fd = ring.make_fd();
  std::string text = "abc";
  ring.prepare(send(fd, text));
  static_cast<void>(turn(ring));
  text[1] = 'X';
  ring.complete_send(fd, 3);
  EXPECT_NE(ring.check().find("changed"), std::string::npos);
  EXPECT_EQ(ring.sent(fd), "abc");
  ::close(fd);
}

TEST(ScriptedRing, NoticesACloseWithAnOperationInFlight) {
  ScriptedRing ring({.shutdown_by_hand = true});
  const int fd = ring.make_fd();
  ring.prepare(receive(fd));
  static_cast<void>(turn(ring));
  ::close(fd);
  static_cast<void>(turn(ring));
  EXPECT_NE(ring.check().find("closed with an operation"), std::string::npos);
}

TEST(ScriptedRing, NoticesABufferProvidedTwice) {
  ScriptedRing ring;
  ring.provide(0);
  EXPECT_NE(ring.check().find("provided twice"), std::string::npos);
}

TEST(ScriptedRing, NoticesOperationsThatAreLeft) {
  ScriptedRing ring;
  ring.prepare({.code = OpCode::poll, .fd = -1, .user_data = 9});
  EXPECT_NE(ring.check().find("1 operations still in flight"), std::string::npos);
}

TEST(ScriptedRing, AShutDescriptorEndsWhatIsInFlight) {
  ScriptedRing ring({.sends_by_hand = true});
  const int fd = ring.make_fd();
  ring.prepare(receive(fd));
  ring.prepare(send(fd, "x"));
  EXPECT_TRUE(turn(ring).empty());
  ::shutdown(fd, SHUT_RDWR);
  const auto got = turn(ring);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0].result, 0);
  EXPECT_EQ(got[1].result, -EPIPE);
  ::close(fd);
}

}  // namespace
}  // namespace sluice::ring::testing
