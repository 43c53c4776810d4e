// What the tests of net share: a scripted ring under a reactor with a clock that stands still, and
// small coroutines that note what streams give them.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scripted_ring.hpp"
#include "sluice/net/stream.hpp"
#include "sluice/ring/scope.hpp"

namespace sluice::net {

/// What a receiving coroutine has got so far.
struct Got {
  std::string text;
  std::vector<std::string> pieces;
  std::optional<Error> error;
};

/// How an awaited step ended; empty while it waits.
using Ended = std::optional<Result<>>;

inline ring::Task<> receive_one(Stream& stream, TimeNs deadline_ns, Got& got) {
  Result<ring::Piece> received = co_await stream.receive(deadline_ns);
  if (!received) {
    got.error = received.error();
    co_return;
  }
  got.text += received->view();
  got.pieces.emplace_back(received->view());
}

/// Until an error.
inline ring::Task<> receive_all(Stream& stream, Got& got) {
  while (!got.error) co_await receive_one(stream, 0, got);
}

inline iovec vector_of(std::string_view text) {
  return {const_cast<char*>(text.data()), text.size()};
}

inline ring::Task<> send_text(Stream& stream, std::string text, TimeNs stall_ns, Ended& ended) {
  const iovec piece = vector_of(text);
  const Result<> sent = co_await stream.send({&piece, 1}, stall_ns);
  ended = sent;
}

inline ring::Task<> close_stream(Stream& stream, bool& closed) {
  co_await stream.close();
  closed = true;
}

inline ring::Task<> connect_to(Stream& stream, const Address& address, TimeNs deadline_ns,
                               Ended& ended) {
  const Result<> connected = co_await stream.connect(address, deadline_ns);
  ended = connected;
}

inline std::string numbered_text(std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += std::to_string(text.size()) + ",";
  text.resize(bytes);
  return text;
}

class NetTest : public ::testing::Test {
 protected:
  explicit NetTest(ring::testing::ScriptOptions options = {})
      : ring_(options), reactor_(ring_, clock_, {}) {
    ring_.sleep_on(clock_);
  }
  void TearDown() override {
    EXPECT_EQ(ring_.check(), "");
    EXPECT_EQ(scope_.running(), 0U);
    EXPECT_EQ(reactor_.stats().stale_completions, 0U);
  }

  /// Turns until nothing more happens by itself; the clock stands still.
  void turns(int count = 6) {
    for (int i = 0; i < count; ++i) reactor_.run_turn(0);
  }
  /// Lets time pass, with its timers.
  void pass(TimeNs ns) {
    const TimeNs until_ns = clock_.monotonic_ns() + ns;
    while (clock_.monotonic_ns() < until_ns) {
      reactor_.run_turn(until_ns - clock_.monotonic_ns());
    }
    turns();
  }
  void close(Stream& stream) {
    bool closed = false;
    scope_.spawn(close_stream(stream, closed));
    turns();
    EXPECT_TRUE(closed);
  }

  ring::testing::ScriptedRing ring_;
  ManualClock clock_;
  ring::Reactor reactor_;
  ring::Scope scope_;
};

/// One stream on the scripted ring, closed at the end of the test.
class StreamTest : public NetTest {
 protected:
  explicit StreamTest(ring::testing::ScriptOptions options = {}) : NetTest(options) {
    fd_ = ring_.make_fd();
    stream_.emplace(reactor_, fd_, Source::upstream);
  }
  void TearDown() override {
    if (stream_ && stream_->descriptor() >= 0) close(*stream_);
    stream_.reset();
    NetTest::TearDown();
  }

  int fd_ = -1;
  std::optional<Stream> stream_;
};

}  // namespace sluice::net
