// Streams, a listener and the pool on the machine's own kernel, over loopback.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "allocation_count.hpp"
#include "net_test.hpp"
#include "sluice/net/listener.hpp"
#include "sluice/net/pool.hpp"
#include "sluice/ring/kernel_ring.hpp"

namespace sluice::net {
namespace {

std::unique_ptr<ring::RingPort> open_ring(bool profile_6_1) {
  std::string message;
  auto opened = ring::open_kernel_ring({.entries = 256,
                                        .buffer_block_count = 16,
                                        .buffer_block_bytes = 32768,
                                        .profile_6_1 = profile_6_1},
                                       message);
  EXPECT_TRUE(opened) << message;
  return opened ? std::move(*opened) : nullptr;
}

class Loopback : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const auto listening = listen_on(*parse_address("127.0.0.1:0"));
    ASSERT_TRUE(listening);
    listening_ = *listening;
    sockaddr_in bound{};
    socklen_t bytes = sizeof bound;
    ASSERT_EQ(getsockname(listening_, reinterpret_cast<sockaddr*>(&bound), &bytes), 0);
    address_ = *parse_address("127.0.0.1:" + std::to_string(ntohs(bound.sin_port)));
    listener_.emplace(reactor_, listening_, &Loopback::on_accept, [](void*) { return true; }, this);
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
    auto& self = *static_cast<Loopback*>(context);
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
  Stream& connect() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected_.push_back(std::make_unique<Stream>(reactor_, fd, Source::upstream));
    Ended ended;
    scope_.spawn(connect_to(*connected_.back(), address_, reactor_.now_ns() + 5 * kSecond, ended));
    const std::size_t before = accepted_.size();
    run_until([&] { return ended && accepted_.size() > before; });
    EXPECT_TRUE(ended && *ended);
    return *connected_.back();
  }

  std::unique_ptr<ring::RingPort> ring_ = open_ring(GetParam());
  ring::Reactor reactor_{*ring_, system_clock(), {}};
  ring::Scope scope_;
  int listening_ = -1;
  Address address_;
  std::optional<Listener> listener_;
  std::vector<std::unique_ptr<Stream>> accepted_;
  std::vector<std::unique_ptr<Stream>> connected_;
};

ring::Task<> echo(Stream& stream) {
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

ring::Task<> send_and_end(Stream& stream, const std::string& text, Ended& ended) {
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

TEST_P(Loopback, AnEchoReturnsEveryByte) {
  Stream& client = connect();
  const std::string text = numbered_text(3'000'000);
  Got got;
  Ended sent;
  scope_.spawn(echo(*accepted_[0]));
  scope_.spawn(receive_all(client, got));
  scope_.spawn(send_and_end(client, text, sent));
  run_until([&] { return got.error.has_value() && sent.has_value(); });
  EXPECT_TRUE(*sent);
  EXPECT_EQ(got.error->code, Errc::closed);
  EXPECT_TRUE(got.text == text) << got.text.size();
}

// Twelve connections at once through sixteen blocks: receives starve and go on.
TEST_P(Loopback, ManyEchoesShareFewBuffers) {
  const std::string text = numbered_text(600'000);
  std::vector<std::unique_ptr<Got>> got;
  std::vector<std::unique_ptr<Ended>> sent;
  for (std::size_t i = 0; i < 12; ++i) {
    Stream& client = connect();
    got.push_back(std::make_unique<Got>());
    sent.push_back(std::make_unique<Ended>());
    scope_.spawn(echo(*accepted_[i]));
    scope_.spawn(receive_all(client, *got[i]));
  }
  for (std::size_t i = 0; i < 12; ++i) scope_.spawn(send_and_end(*connected_[i], text, *sent[i]));
  run_until([&] {
    return std::all_of(got.begin(), got.end(),
                       [](const auto& one) { return one->error.has_value(); });
  });
  for (const auto& one : got) {
    EXPECT_EQ(one->error->code, Errc::closed);
    EXPECT_TRUE(one->text == text) << one->text.size();
  }
}

TEST_P(Loopback, AReaderThatDoesNotReadStopsTheSender) {
  Stream& client = connect();
  const std::string text = numbered_text(30'000'000);
  Ended sent;
  accepted_[0]->start_receiving();
  scope_.spawn(send_text(client, text, 200 * kMillisecond, sent));
  run_until([&] { return sent.has_value(); });
  ASSERT_FALSE(*sent);
  EXPECT_EQ(sent->error().code, Errc::timed_out);
}

TEST_P(Loopback, AClosedPortRefuses) {
  listener_->stop();
  run_until([&] { return !listener_->in_flight(); });
  ::close(std::exchange(listening_, -1));
  connected_.push_back(std::make_unique<Stream>(
      reactor_, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), Source::upstream));
  Ended ended;
  scope_.spawn(connect_to(*connected_[0], address_, reactor_.now_ns() + 5 * kSecond, ended));
  run_until([&] { return ended.has_value(); });
  ASSERT_FALSE(*ended);
  EXPECT_EQ(ended->error(), (Error{Errc::refused, Source::upstream, Retry::yes, ECONNREFUSED}));
}

TEST_P(Loopback, AResetIsToldAsOne) {
  Stream& client = connect();
  Got got;
  scope_.spawn(receive_one(client, 0, got));
  const linger hard{.l_onoff = 1, .l_linger = 0};
  setsockopt(accepted_[0]->descriptor(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  reactor_.run_turn(0);
  // Closed without the FIN that a shutdown would send first.
  const int copy = dup(accepted_[0]->descriptor());
  ::close(copy);
  sockaddr unspecified{};
  unspecified.sa_family = AF_UNSPEC;
  ASSERT_EQ(::connect(accepted_[0]->descriptor(), &unspecified, sizeof unspecified), 0);
  run_until([&] { return got.error.has_value(); });
  EXPECT_EQ(got.error->code, Errc::reset);
}

TEST_P(Loopback, APooledConnectionThatIsClosedByItsPeerIsDropped) {
  connect();
  Pool pool(reactor_, 4, kSecond);
  const PoolKey key{.endpoint = 1, .generation = 1};
  pool.put(key, std::move(connected_[0]));
  connected_.clear();
  EXPECT_EQ(pool.idle(), 1U);
  close(*accepted_[0]);
  run_until([&] { return pool.idle() == 0; });
  EXPECT_EQ(pool.take(key), nullptr);
  bool closed = false;
  const auto body = [](Pool& of, bool& done) -> ring::Task<> {
    co_await of.close();
    done = true;
  };
  scope_.spawn(body(pool, closed));
  run_until([&] { return closed; });
}

TEST_P(Loopback, AbortEndsEverythingInTheKernel) {
  Stream& client = connect();
  Got got;
  Ended sent;
  scope_.spawn(receive_one(client, 0, got));
  scope_.spawn(send_text(client, numbered_text(30'000'000), 10 * kSecond, sent));
  for (int i = 0; i < 5; ++i) reactor_.run_turn(10 * kMillisecond);
  EXPECT_FALSE(sent.has_value());
  client.abort();
  run_until([&] { return got.error.has_value() && sent.has_value(); });
  EXPECT_EQ(got.error->code, Errc::cancelled);
  EXPECT_EQ(sent->error().code, Errc::cancelled);
}

// Messages to and fro: what the first ones allocated serves all others.
TEST_P(Loopback, SteadyTrafficAllocatesNothing) {
  Stream& client = connect();
  struct Progress {
    int rounds = 0;
    std::size_t before = 0;
    std::size_t after = 0;
  } progress;
  const auto ping = [](Stream& stream, Progress& at) -> ring::Task<> {
    const std::string text = "one message";
    for (; at.rounds < 300; ++at.rounds) {
      if (at.rounds == 100) at.before = ring::testing::allocation_count();
      const iovec pieces[2] = {vector_of(text), vector_of(text)};
      const Result<> sent = co_await stream.send(pieces, kSecond);
      if (!sent) break;
      std::size_t bytes = 0;
      while (bytes < 2 * text.size()) {
        const Result<ring::Piece> piece =
            co_await stream.receive(stream.reactor().now_ns() + kSecond);
        if (!piece) co_return;
        bytes += piece->size();
      }
    }
    at.after = ring::testing::allocation_count();
  };
  scope_.spawn(echo(*accepted_[0]));
  scope_.spawn(ping(client, progress));
  run_until([&] { return progress.after != 0; });
  EXPECT_EQ(progress.rounds, 300);
  EXPECT_EQ(progress.after, progress.before);
}

INSTANTIATE_TEST_SUITE_P(Profiles, Loopback, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "Linux61" : "Newest"; });

}  // namespace
}  // namespace sluice::net
