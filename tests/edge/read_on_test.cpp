// Policy `drain`: the answer of a client that has left is read on, and the caps of its key end
// that.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "messages.hpp"
#include "scripted_upstream.hpp"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kTenWords = "one two three four five six seven eight nine ten ";

NodePlan draining(const ScriptedUpstream& upstream) {
  NodePlan plan{.upstream_port = upstream.port()};
  plan.key.on_disconnect = state::OnDisconnect::drain;
  return plan;
}

/// Asks for a stream and leaves when its first words have come. Returns when the shard knows.
void ask_and_leave(TestNode& node) {
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream));
  client.receive_until("one");
  client.reset();
  for (int i = 0; i < 5000 && node.counted(relay::Counter::client_left) == 0; ++i)
    std::this_thread::sleep_for(milliseconds(1));
}

bool becomes_true(const std::atomic<bool>& flag, int within_ms) {
  for (int i = 0; i < within_ms && !flag; ++i) std::this_thread::sleep_for(milliseconds(1));
  return flag;
}

TEST(ReadOn, EndsWhenItsTimeIsOverThoughNothingComes) {
  std::atomic<bool> freed{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(delta("one")));
    freed = client.peer_ended(20'000);
  });
  NodePlan plan = draining(upstream);
  plan.key.drain_seconds = 7;
  TestNode node(plan);
  ask_and_leave(node);
  node.skip(5 * kSecond);
  EXPECT_FALSE(becomes_true(freed, 300));
  node.skip(3 * kSecond);
  EXPECT_TRUE(becomes_true(freed, 2000));
  node.stop();
  EXPECT_EQ(node.only_record().end, price::End::client_left);
  EXPECT_GT(node.only_record().charged, 0);
  EXPECT_EQ(node.wallet().held, 0);
}

TEST(ReadOn, EndsWhenItsTimeIsOverBeforeTheAnswerBegins) {
  std::atomic<bool> asked{false};
  std::atomic<bool> freed{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    asked = true;
    freed = client.peer_ended(20'000);
  });
  NodePlan plan = draining(upstream);
  plan.key.drain_seconds = 7;
  TestNode node(plan);
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk));
  EXPECT_TRUE(becomes_true(asked, 2000));
  client.reset();
  EXPECT_FALSE(becomes_true(freed, 300));
  node.skip(8 * kSecond);
  EXPECT_TRUE(becomes_true(freed, 2000));
  node.stop();
  EXPECT_EQ(node.only_record().end, price::End::client_left);
}

/// A provider that sends events until the gateway has had enough, at most `most`; `sent` = how
/// many.
ScriptedUpstream::Script tireless(std::atomic<int>& sent, std::atomic<bool>& freed, int most) {
  return [&, most](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(delta("one")));
    std::this_thread::sleep_for(milliseconds(100));
    for (int i = 0; i < most && !freed; ++i) {
      client.send(chunk(delta(kTenWords)));
      ++sent;
      freed = client.peer_ended(2);
    }
    client.send(chunk(kFinish) + chunk(kUsage) + chunk(kDone) + "0\r\n\r\n");
    client.peer_ended(5000);
  };
}

struct Caps {
  const char* name;
  std::uint64_t bytes;
  Nanos nanos;
  int events_least;  ///< that are read
  int events_most;
};

class ReadOnCaps : public testing::TestWithParam<Caps> {};

TEST_P(ReadOnCaps, EndsItAndWhatWasReadIsPaid) {
  const Caps& caps = GetParam();
  std::atomic<int> sent{0};
  std::atomic<bool> freed{false};
  ScriptedUpstream upstream(tireless(sent, freed, 200));
  NodePlan plan = draining(upstream);
  plan.key.drain_bytes = caps.bytes;
  plan.key.drain_nanos = caps.nanos;
  TestNode node(plan);
  ask_and_leave(node);
  for (int i = 0; i < 5000 && !freed && sent < 200; ++i)
    std::this_thread::sleep_for(milliseconds(1));
  std::this_thread::sleep_for(milliseconds(100));
  node.stop();
  EXPECT_GE(sent, caps.events_least);
  EXPECT_LE(sent, caps.events_most);
  EXPECT_EQ(node.only_record().end, price::End::client_left);
  if (caps.events_most < 200) {
    // Ten words an event at 2 USD a million, beside the input and the first word.
    EXPECT_GE(node.only_record().charged, (caps.events_least - 2) * 10 * 2000);
    EXPECT_LE(node.only_record().charged, (caps.events_most + 2) * 15 * 2000 + kCost);
  } else {
    EXPECT_EQ(node.only_record().charged, kCost) << "the usage that the provider reports";
  }
}

const std::uint64_t kEventBytes = delta(kTenWords).size();

INSTANTIATE_TEST_SUITE_P(
    Caps, ReadOnCaps,
    testing::Values(Caps{"none", 0, 0, 200, 200}, Caps{"bytes", 50 * kEventBytes, 0, 50, 60},
                    Caps{"cost", 0, 50 * 10 * 2000, 35, 60},
                    Caps{"the_first_of_both", 20 * kEventBytes, 50 * 10 * 2000, 20, 30},
                    Caps{"large", kMiB, kNanosPerUsd, 200, 200}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace sluice::test
