// A shard that is asked to finish while requests are open: their error, their bill. S21 of the list
// in tests/README.md.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "scripted_upstream.hpp"
#include "stream_formats.hpp"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;

class DrainOf : public EachFormat {};

INSTANTIATE_TEST_SUITE_P(Drain, DrainOf, ::testing::ValuesIn(stream_formats()),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(DrainOf, ADrainAtItsLimitEndsStreamsWithTheFormatsOwnError) {  // S21
  const StreamFormat& format = GetParam();
  std::atomic<bool> freed{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(format.opening + format.content));
    freed = client.peer_ended(5000);
  });
  NodePlan drains = plan(upstream);
  drains.drain_ns = 100 * kMillisecond;
  TestNode node(drains);
  Socket client = Socket::connect_to(node.port());
  client.send(format.request);
  std::string answer = client.receive_until(format.content + "\r\n");
  node.drain();
  answer = client.receive_all();
  EXPECT_NE(answer.find(format.error_mark), std::string::npos) << answer;
  EXPECT_NE(answer.find("shutting down"), std::string::npos) << answer;
  EXPECT_FALSE(answer.ends_with(kLastChunk));
  node.stop();
  EXPECT_TRUE(freed);
  EXPECT_EQ(node.only_record().end, price::End::cut);
  EXPECT_GT(node.only_record().charged, 0);
  EXPECT_LT(node.only_record().charged, kCost);
}

TEST(Drain, AtItsLimitWhatHasNotBegunIsRefusedAndCostsNothing) {  // S21
  for (const bool stream : {true, false}) {
    std::atomic<int> asked{0};
    ScriptedUpstream upstream([&](Socket& client, int) {
      client.receive_message();
      ++asked;
      client.peer_ended(5000);
    });
    TestNode node({.upstream_port = upstream.port(), .drain_ns = 100 * kMillisecond});
    Socket client = Socket::connect_to(node.port());
    client.send(chat_request(stream ? kAskStream : kAsk));
    while (asked == 0) std::this_thread::sleep_for(milliseconds(1));
    node.drain();
    const std::string answer = client.receive_all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
    node.stop();
    EXPECT_EQ(node.wallet().charged, 0);
  }
}

// One that does not read cannot be told, and holds up nobody.
TEST(Drain, AtItsLimitItDoesNotWaitForSlowReaders) {  // S14, S21
  std::atomic<bool> ended{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(kStreamHead);
    const std::string much = chunk(delta(std::string(10'000, 'x')));
    while (!ended && !client.peer_ended(0)) client.send(much);
  });
  TestNode node({.upstream_port = upstream.port(), .drain_ns = 50 * kMillisecond});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream));
  std::this_thread::sleep_for(milliseconds(200));
  const auto begun = std::chrono::steady_clock::now();
  node.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  ended = true;
  EXPECT_EQ(node.only_record().end, price::End::client_left);
}

}  // namespace
}  // namespace sluice::test
