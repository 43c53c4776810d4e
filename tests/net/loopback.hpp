// Pairs of connected streams on the machine's own kernel, over loopback.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net_test.hpp"
#include "sluice/net/listener.hpp"
#include "sluice/ring/kernel_ring.hpp"

namespace sluice::net {

struct LoopbackOptions {
  bool profile_6_1 = false;
  unsigned buffer_block_bytes = 32768;
};

inline std::unique_ptr<ring::RingPort> open_ring(LoopbackOptions options) {
  std::string message;
  auto opened = ring::open_kernel_ring({.entries = 256,
                                        .completions = 1024,
                                        .buffer_block_count = 16,
                                        .buffer_block_bytes = options.buffer_block_bytes,
                                        .profile_6_1 = options.profile_6_1},
                                       message);
  EXPECT_TRUE(opened) << message;
  return opened ? std::move(*opened) : nullptr;
}

class LoopbackTest : public ::testing::Test {
 protected:
  explicit LoopbackTest(LoopbackOptions options) : ring_(open_ring(options)) {}
  void SetUp() override {
    const auto listening = listen_on(*parse_address("127.0.0.1:0"));
    ASSERT_TRUE(listening);
    listening_ = *listening;
    sockaddr_in bound{};
    socklen_t bytes = sizeof bound;
    ASSERT_EQ(getsockname(listening_, reinterpret_cast<sockaddr*>(&bound), &bytes), 0);
    address_ = *parse_address("127.0.0.1:" + std::to_string(ntohs(bound.sin_port)));
    listener_.emplace(
        reactor_, listening_, &LoopbackTest::on_accept, [](void*) { return true; }, this);
    listener_->arm();
  }
  void TearDown() override {
    listener_->stop();
    for (const auto& stream : accepted_) close(*stream);
    for (const auto& stream : connected_) close(*stream);
    run_until([&] { return !listener_->in_flight(); });
    EXPECT_EQ(scope_.running(), 0U);
    if (listening_ >= 0) ::close(listening_);
    accepted_.clear();
    connected_.clear();
    EXPECT_EQ(reactor_.buffers().available(), reactor_.buffers().block_count());
  }
  static void on_accept(void* context, int fd) {
    auto& self = *static_cast<LoopbackTest*>(context);
    self.accepted_.push_back(std::make_unique<Stream>(self.reactor_, fd, Source::client));
  }
  template <class Done>
  void run_until(Done done) {
    const TimeNs limit_ns = system_clock().monotonic_ns() + 20 * kSecond;
    while (!done() && system_clock().monotonic_ns() < limit_ns)
      reactor_.run_turn(10 * kMillisecond);
    EXPECT_TRUE(done());
  }
  void close(Stream& stream) {
    bool closed = false;
    scope_.spawn(close_stream(stream, closed));
    run_until([&] { return closed; });
  }
  /// `receive_bytes`: of the connecting side's buffer; 0 = as the kernel has it.
  Stream& connect(int receive_bytes = 0) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes > 0) {
      EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes), 0);
    }
    connected_.push_back(std::make_unique<Stream>(reactor_, fd, Source::upstream));
    Ended ended;
    scope_.spawn(connect_to(*connected_.back(), address_, reactor_.now_ns() + 5 * kSecond, ended));
    const std::size_t before = accepted_.size();
    run_until([&] { return ended && accepted_.size() > before; });
    EXPECT_TRUE(ended && *ended);
    return *connected_.back();
  }

  /// A kilobyte is taken from the socket every 10 ms until then, past the stream: the send goes on,
  /// and times out when nobody reads any more.
  void expect_patience(Stream& reader, const Ended& sent, TimeNs until_ns) {
    std::array<char, 1024> some;
    while (system_clock().monotonic_ns() < until_ns && !sent) {
      static_cast<void>(recv(reader.descriptor(), some.data(), some.size(), MSG_DONTWAIT));
      reactor_.run_turn(10 * kMillisecond);
    }
    EXPECT_FALSE(sent.has_value());
    run_until([&] { return sent.has_value(); });
    ASSERT_FALSE(*sent) << "nobody reads any more";
    EXPECT_EQ(sent->error().code, Errc::timed_out);
  }

  std::unique_ptr<ring::RingPort> ring_;
  ring::Reactor reactor_{*ring_, system_clock(), {}};
  ring::Scope scope_;
  int listening_ = -1;
  Address address_;
  std::optional<Listener> listener_;
  std::vector<std::unique_ptr<Stream>> accepted_;
  std::vector<std::unique_ptr<Stream>> connected_;
};

inline ring::Task<> echo(Stream& stream) {
  for (;;) {
    Result<ring::Piece> received = co_await stream.receive(0);
    if (!received) break;
    ring::PieceQueue held;
    held.push(std::move(*received));
    const iovec piece = vector_of(held[0].view());
    const Result<> sent = co_await stream.send({&piece, 1}, 5 * kSecond, &held);
    if (!sent) break;
  }
  stream.shutdown_send();
}

inline ring::Task<> send_and_end(Stream& stream, const std::string& text, Ended& ended) {
  std::size_t at = 0;
  Result<> sent;
  while (at < text.size() && sent) {
    const iovec piece = vector_of(std::string_view(text).substr(at, 100'000));
    sent = co_await stream.send({&piece, 1}, 5 * kSecond);
    at += piece.iov_len;
  }
  stream.shutdown_send();
  ended = sent;
}

}  // namespace sluice::net
