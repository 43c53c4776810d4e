// Streams, a listener and the pool on the machine's own kernel, over loopback.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "allocation_count.hpp"
#include "loopback.hpp"
#include "sluice/net/pool.hpp"

namespace sluice::net {
namespace {

class Loopback : public LoopbackTest, public ::testing::WithParamInterface<bool> {
 protected:
  Loopback() : LoopbackTest({.profile_6_1 = GetParam()}) {}
};

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

// The kernel takes more than a megabyte, and tells of room when a third of it is gone: long after
// the stall time, for who reads a kilobyte at a time.
TEST_P(Loopback, AReaderThatReadsLittleIsNotTakenForOneThatDoesNotRead) {
  Stream& reader = connect(4096);
  Stream& sender = *accepted_[0];
  const int large = 2'000'000;
  ASSERT_EQ(setsockopt(sender.descriptor(), SOL_SOCKET, SO_SNDBUF, &large, sizeof large), 0);
  const std::string text = numbered_text(8'000'000);
  constexpr TimeNs kStall = 400 * kMillisecond;
  Ended sent;
  scope_.spawn(send_text(sender, text, kStall, sent));
  const TimeNs begun = system_clock().monotonic_ns();
  expect_patience(reader, sent, begun + 5 * kStall);
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
