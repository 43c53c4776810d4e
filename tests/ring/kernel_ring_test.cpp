// The port on the machine's own kernel: sockets over loopback, nothing scripted.
#include "sluice/ring/kernel_ring.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "sluice/ring/buffer.hpp"

namespace sluice::ring {
namespace {

class KernelRingTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    std::string message;
    auto opened = open_kernel_ring({.entries = 64,
                                    .completions = 256,
                                    .buffer_block_count = 8,
                                    .buffer_block_bytes = 32768,
                                    .profile_6_1 = GetParam()},
                                   message);
    ASSERT_TRUE(opened) << message;
    ring_ = std::move(*opened);
  }
  void TearDown() override {
    for (const int fd : fds_) ::close(fd);
  }

  // A connected pair over TCP, as the streams of a shard are.
  std::array<int, 2> tcp_pair() {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    EXPECT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), bytes), 0);
    EXPECT_EQ(listen(listening, 4), 0);
    EXPECT_EQ(getsockname(listening, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), bytes), 0);
    const int server = accept(listening, nullptr, nullptr);
    ::close(listening);
    fds_.insert(fds_.end(), {client, server});
    return {client, server};
  }

  std::vector<Completion> turn(TimeNs wait_ns = 2 * kSecond) {
    std::vector<Completion> out(64);
    out.resize(ring_->enter(out, wait_ns));
    return out;
  }

  std::unique_ptr<RingPort> ring_;
  std::vector<int> fds_;
};

bool kernel_is_at_least(int major, int minor) {
  utsname name{};
  int its_major = 0;
  int its_minor = 0;
  return uname(&name) == 0 && sscanf(name.release, "%d.%d", &its_major, &its_minor) == 2 &&
         (its_major > major || (its_major == major && its_minor >= minor));
}

std::string bytes_of(RingPort& ring, const Completion& completion, std::size_t offset) {
  return {ring.buffer_data(completion.buffer) + offset,
          static_cast<std::size_t>(completion.result)};
}

TEST_P(KernelRingTest, TheTwoProfilesShareOutTheSameMemory) {
  EXPECT_EQ(ring_->buffer_count() * ring_->buffer_bytes(), 8U * 32768U);
  EXPECT_EQ(ring_->buffer_bytes(), GetParam() ? 4096U : 32768U);
}

// What is kept is used through the ring's table: also after its number was closed and given anew.
// The descriptors of rings that this process has open.
std::vector<int> ring_descriptors() {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code none;
    const std::string what = std::filesystem::read_symlink(entry.path(), none).string();
    if (what == "anon_inode:[io_uring]") found.push_back(std::stoi(entry.path().filename()));
  }
  return found;
}

TEST_P(KernelRingTest, NothingMoreCanBeRegistered) {
  const std::vector<int> rings = ring_descriptors();
  ASSERT_EQ(rings.size(), 1U);
  for (const unsigned code : {IORING_REGISTER_BUFFERS, IORING_REGISTER_EVENTFD,
                              IORING_REGISTER_PERSONALITY, IORING_REGISTER_RESTRICTIONS}) {
    EXPECT_EQ(syscall(__NR_io_uring_register, rings[0], code, nullptr, 0), -1) << code;
    EXPECT_EQ(errno, EACCES) << code;
  }
}

TEST_P(KernelRingTest, KeptDescriptorsAreTheOnesThatTheirNumbersMean) {
  for (int round = 0; round < 3; ++round) {
    const auto [here, there] = tcp_pair();
    fds_.clear();
    ring_->keep(here);
    ring_->prepare(
        {.code = OpCode::send, .fd = here, .address = "abc", .length = 3, .user_data = 5});
    const auto done = turn();
    ASSERT_EQ(done.size(), 1U);  // keeping says nothing
    EXPECT_EQ(done[0].result, 3);
    std::array<char, 8> got{};
    EXPECT_EQ(recv(there, got.data(), got.size(), 0), 3);
    ring_->forget(here);
    ::close(here);
    // The file ends with the table's reference, which the next turn drops.
    turn(0);
    EXPECT_EQ(recv(there, got.data(), got.size(), 0), 0);
    ::close(there);
  }
}

TEST_P(KernelRingTest, ForgettingAndKeepingInOneTurnLeavesTheNewFile) {
  const auto [old_here, old_there] = tcp_pair();
  ring_->keep(old_here);
  turn(0);
  const auto [here, there] = tcp_pair();
  ring_->forget(old_here);
  ASSERT_EQ(dup2(here, old_here), old_here);  // the number means another connection now
  ring_->keep(old_here);
  ring_->prepare(
      {.code = OpCode::send, .fd = old_here, .address = "new", .length = 3, .user_data = 6});
  ASSERT_EQ(turn().size(), 1U);
  std::array<char, 8> got{};
  EXPECT_EQ(recv(there, got.data(), got.size(), 0), 3);
  EXPECT_EQ(recv(old_there, got.data(), got.size(), 0), 0);
}

TEST_P(KernelRingTest, AReceiveStaysArmedAndFillsBuffersInTurn) {
  const auto [here, there] = tcp_pair();
  ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 7});
  EXPECT_TRUE(turn(0).empty());
  ASSERT_EQ(send(there, "first", 5, 0), 5);
  auto got = turn();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].user_data, 7U);
  EXPECT_TRUE(got[0].more);
  EXPECT_TRUE(got[0].has_buffer);
  EXPECT_EQ(got[0].buffer_more, !GetParam());
  EXPECT_EQ(bytes_of(*ring_, got[0], 0), "first");
  const std::uint16_t first_buffer = got[0].buffer;
  ASSERT_EQ(send(there, "second", 6, 0), 6);
  got = turn();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_TRUE(got[0].more);
  if (GetParam()) {
    EXPECT_NE(got[0].buffer, first_buffer);
    EXPECT_EQ(bytes_of(*ring_, got[0], 0), "second");
  } else {
    EXPECT_EQ(got[0].buffer, first_buffer);
    EXPECT_EQ(bytes_of(*ring_, got[0], 5), "second");
  }
  shutdown(there, SHUT_WR);
  got = turn();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].result, 0);
  EXPECT_FALSE(got[0].more);
}

// Many bytes through few buffers: every one is counted, used up, given back and used again.
TEST_P(KernelRingTest, BuffersGoRoundWithoutLosingAByte) {
  const auto [here, there] = tcp_pair();
  BufferPool pool(*ring_);
  std::string expected;
  std::string received;
  std::size_t next = 0;
  bool armed = false;
  bool ended = false;
  int turns = 0;
  while (!ended && ++turns < 20'000) {
    if (expected.size() < 1'000'000) {
      ++next;
      const std::string text(next % 3000 + 1, static_cast<char>('a' + next % 26));
      const ssize_t put = send(there, text.data(), text.size(), MSG_DONTWAIT);
      if (put > 0) expected.append(text, 0, static_cast<std::size_t>(put));
      if (expected.size() >= 1'000'000) shutdown(there, SHUT_WR);
    }
    if (!armed) {
      ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 1});
      armed = true;
    }
    for (const Completion& completion : turn(kMillisecond)) {
      armed = completion.more;
      if (completion.result == 0) ended = true;
      if (!completion.has_buffer) continue;
      received += pool.take(completion).view();
    }
  }
  EXPECT_TRUE(ended);
  EXPECT_EQ(received.size(), expected.size());
  EXPECT_TRUE(received == expected);
  EXPECT_EQ(pool.available(), pool.block_count());
}

// What a burst needed once is not touched by what comes after it: blocks used last are used next.
TEST_P(KernelRingTest, LittleTrafficGoesThroughFewBlocks) {
  const auto [here, there] = tcp_pair();
  BufferPool pool(*ring_);
  std::set<std::uint16_t> used;
  ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 1});
  const std::string text(2000, 'x');
  for (int i = 0; i < 400; ++i) {
    ASSERT_EQ(send(there, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    for (const Completion& completion : turn()) {
      ASSERT_TRUE(completion.more);
      ASSERT_TRUE(completion.has_buffer);
      used.insert(completion.buffer);
      EXPECT_EQ(pool.take(completion).size(), static_cast<std::size_t>(completion.result));
    }
  }
  EXPECT_LE(used.size(), ring_->buffer_count() / 8 + 2);
}

TEST_P(KernelRingTest, WithoutBuffersAReceiveSaysSo) {
  const auto [here, there] = tcp_pair();
  BufferPool pool(*ring_);
  std::vector<Piece> kept;
  ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 1});
  const std::string text(8 * 32768 + 100, 'x');
  std::size_t sent = 0;
  bool starved = false;
  for (int i = 0; i < 5000 && !starved; ++i) {
    if (sent < text.size()) {
      const ssize_t put = send(there, text.data() + sent, text.size() - sent, MSG_DONTWAIT);
      if (put > 0) sent += static_cast<std::size_t>(put);
    }
    for (const Completion& completion : turn(kMillisecond)) {
      if (completion.has_buffer) kept.push_back(pool.take(completion));
      if (completion.result == -ENOBUFS) {
        EXPECT_FALSE(completion.more);
        starved = pool.available() == 0;  // or it finds those in reserve
        if (!starved) ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 1});
      }
    }
  }
  EXPECT_TRUE(starved);
  EXPECT_EQ(pool.available(), 0U);
  kept.clear();
  EXPECT_EQ(pool.available(), pool.block_count());
  ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 1});
  const auto got = turn();
  ASSERT_FALSE(got.empty());
  EXPECT_GT(got[0].result, 0);
}

TEST_P(KernelRingTest, WaitingEndsAtTheTimeOut) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(turn(20 * kMillisecond).empty());
  const auto waited = std::chrono::steady_clock::now() - start;
  EXPECT_GE(waited, std::chrono::milliseconds(19));
  EXPECT_LT(waited, std::chrono::seconds(1));
}

/// In hundredths of a second: the time that this core has been idle while somebody on it waited for
/// a disk, as monitoring shows it.
long iowait_of_core(int core) {
  std::ifstream stat("/proc/stat");
  const std::string wanted = "cpu" + std::to_string(core);
  for (std::string line; std::getline(stat, line);) {
    std::istringstream words(line);
    std::string name;
    long user = 0, nice = 0, system = 0, idle = 0, iowait = 0;
    if (words >> name >> user >> nice >> system >> idle >> iowait && name == wanted) return iowait;
  }
  return -1;
}

TEST_P(KernelRingTest, WaitingForClientsIsNoWaitingForADisk) {
  if (GetParam() || !kernel_is_at_least(6, 15)) GTEST_SKIP() << "the kernel takes it for one";
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  const int core = sched_getcpu();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  const auto [here, there] = tcp_pair();
  ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 1});
  // Others on this core may wait for a disk: one quiet look of ten is enough.
  long least = LONG_MAX;
  for (int i = 0; i < 10 && least > 1; ++i) {
    const long from = iowait_of_core(core);
    EXPECT_TRUE(turn(100 * kMillisecond).empty());
    least = std::min(least, iowait_of_core(core) - from);
  }
  sched_setaffinity(0, sizeof before, &before);
  EXPECT_LE(least, 1) << "of 10 while it waited";
}

TEST_P(KernelRingTest, ALookWithoutWaitingReturnsAtOnce) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(turn(0).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
}

TEST_P(KernelRingTest, EventsShowWithoutASystemCall) {
  const auto [here, there] = tcp_pair();
  ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 1});
  EXPECT_TRUE(turn(0).empty());
  EXPECT_FALSE(ring_->has_events());
  ASSERT_EQ(send(there, "x", 1, 0), 1);
  EXPECT_TRUE(ring_->has_events());
  EXPECT_EQ(turn(0).size(), 1U);
  EXPECT_FALSE(ring_->has_events());
}

TEST_P(KernelRingTest, ACancelledReceiveEndsItself) {
  const auto [here, there] = tcp_pair();
  static_cast<void>(there);
  ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 1});
  static_cast<void>(turn(0));
  ring_->prepare({.code = OpCode::cancel, .target = 1, .user_data = 2});
  bool target_ended = false;
  for (int i = 0; i < 10 && !target_ended; ++i) {
    for (const Completion& completion : turn(10 * kMillisecond)) {
      if (completion.user_data != 1) continue;
      EXPECT_EQ(completion.result, -ECANCELED);
      EXPECT_FALSE(completion.more);
      target_ended = true;
    }
  }
  EXPECT_TRUE(target_ended);
}

TEST_P(KernelRingTest, AReceiveEndsAtItsLimitWhereTheKernelKnowsOne) {
  const auto [here, there] = tcp_pair();
  const std::string text(30'000, 'x');
  ASSERT_EQ(send(there, text.data(), text.size(), 0), 30'000);
  ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .length = 10'000, .user_data = 1});
  std::int32_t bytes = 0;
  bool more = true;
  for (int i = 0; i < 5; ++i) {
    for (const Completion& completion : turn(10 * kMillisecond)) {
      if (completion.result > 0) bytes += completion.result;
      more = completion.more;
    }
  }
  if (!GetParam() && kernel_is_at_least(6, 17)) {
    EXPECT_EQ(bytes, 10'000);
    EXPECT_FALSE(more);
  } else {
    EXPECT_EQ(bytes, 30'000);  // it goes on until all is there
  }
}

TEST_P(KernelRingTest, ShuttingASocketDownEndsItsReceive) {
  const auto [here, there] = tcp_pair();
  static_cast<void>(there);
  ring_->prepare({.code = OpCode::recv_multishot, .fd = here, .user_data = 1});
  static_cast<void>(turn(0));
  shutdown(here, SHUT_RDWR);
  const auto got = turn();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].result, 0);
  EXPECT_FALSE(got[0].more);
}

TEST_P(KernelRingTest, AFullPeerIsSaidAtOnceWhenASendMayNotWait) {
  const auto [here, there] = tcp_pair();
  static_cast<void>(there);
  const std::string text(4U << 20U, 'x');
  int full = 0;
  for (int i = 0; i < 20 && full == 0; ++i) {
    ring_->prepare({.code = OpCode::send,
                    .fd = here,
                    .address = text.data(),
                    .length = static_cast<std::uint32_t>(text.size()),
                    .msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT,
                    .user_data = 3});
    const auto got = turn(100 * kMillisecond);
    ASSERT_EQ(got.size(), 1U);
    if (got[0].result == -EAGAIN) ++full;
  }
  EXPECT_EQ(full, 1);
}

TEST_P(KernelRingTest, MoreOperationsThanTheQueueHoldsAreSubmittedMeanwhile) {
  std::vector<std::array<int, 2>> pairs;
  for (std::uint64_t i = 0; i < 100; ++i) {
    pairs.push_back(tcp_pair());
    ring_->prepare(
        {.code = OpCode::poll, .fd = pairs.back()[0], .msg_flags = POLLIN, .user_data = i});
  }
  EXPECT_TRUE(turn(0).empty());
  for (const auto& pair : pairs) ASSERT_EQ(send(pair[1], "x", 1, 0), 1);
  std::size_t seen = 0;
  for (int i = 0; i < 20 && seen < pairs.size(); ++i) seen += turn(100 * kMillisecond).size();
  EXPECT_EQ(seen, pairs.size());
}

// The completion queue has four places for each of the 64 submissions: what does not fit is kept by
// the kernel until there is room.
TEST_P(KernelRingTest, MoreCompletionsThanTheQueueHoldsAreNotLost) {
  constexpr std::uint64_t kSends = 1000;
  const auto [here, there] = tcp_pair();
  for (std::uint64_t i = 0; i < kSends; ++i) {
    ring_->prepare({.code = OpCode::send,
                    .fd = here,
                    .address = "x",
                    .length = 1,
                    .msg_flags = MSG_NOSIGNAL,
                    .user_data = i});
  }
  std::vector<int> seen(kSends);
  std::size_t count = 0;
  for (int i = 0; i < 200 && count < kSends; ++i) {
    for (const Completion& completion : turn(100 * kMillisecond)) {
      ASSERT_EQ(completion.result, 1);
      ++seen[completion.user_data];
      ++count;
    }
  }
  EXPECT_EQ(count, kSends);
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<std::ptrdiff_t>(kSends));
  // The ring goes on as before.
  ring_->prepare({.code = OpCode::poll, .fd = there, .msg_flags = POLLIN, .user_data = 7});
  const auto readable = turn();
  ASSERT_EQ(readable.size(), 1U);
  EXPECT_EQ(readable[0].user_data, 7U);
}

TEST_P(KernelRingTest, ConnectAndAcceptComplete) {
  const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  fds_.push_back(listening);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), bytes), 0);
  ASSERT_EQ(listen(listening, 4), 0);
  ASSERT_EQ(getsockname(listening, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  fds_.push_back(client);
  ring_->prepare({.code = OpCode::accept, .fd = listening, .user_data = 1});
  ring_->prepare({.code = OpCode::connect,
                  .fd = client,
                  .address = &address,
                  .length = bytes,
                  .user_data = 2});
  int accepted = -1;
  int connected = -1;
  for (int i = 0; i < 10 && (accepted < 0 || connected < 0); ++i) {
    for (const Completion& completion : turn(100 * kMillisecond)) {
      (completion.user_data == 1 ? accepted : connected) = completion.result;
    }
  }
  EXPECT_EQ(connected, 0);
  ASSERT_GE(accepted, 0);
  fds_.push_back(accepted);
}

INSTANTIATE_TEST_SUITE_P(Profiles, KernelRingTest, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "Linux61" : "Newest"; });

TEST(KernelRing, ABadOptionIsAnErrorWithAMessage) {
  std::string message;
  const auto opened = open_kernel_ring(
      {.entries = 8, .completions = 32, .buffer_block_count = 3, .buffer_block_bytes = 4096},
      message);
  EXPECT_FALSE(opened);
  EXPECT_FALSE(message.empty());
}

}  // namespace
}  // namespace sluice::ring
