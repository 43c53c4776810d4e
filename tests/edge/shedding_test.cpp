// More requests than a shard can serve: some are refused at once, the others are served as ever.
#include "sluice/relay/shedding.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "messages.hpp"
#include "scripted_upstream.hpp"

namespace sluice::test {
namespace {

using relay::Shedding;

constexpr TimeNs kMost = 50 * kMillisecond;

void note(Shedding& shedding, TimeNs wait_ns, int times) {
  for (int i = 0; i < times; ++i) shedding.note_wait(wait_ns);
}

int taken_of(Shedding& shedding, int asked) {
  int taken = 0;
  for (int i = 0; i < asked; ++i) taken += shedding.takes() ? 1 : 0;
  return taken;
}

TEST(Shedding, ABurstIsNoReason) {
  Shedding shedding(kMost);
  for (int burst = 0; burst < 20; ++burst) {
    note(shedding, kSecond, static_cast<int>(Shedding::kPatience) - 1);
    note(shedding, kMost, 1);
  }
  EXPECT_EQ(taken_of(shedding, 1000), 1000);
}

TEST(Shedding, AQueueThatStandsIs) {
  Shedding shedding(kMost);
  note(shedding, kMost + 1, static_cast<int>(Shedding::kPatience));
  EXPECT_LT(taken_of(shedding, 1000), 1000);
  note(shedding, kMost + 1, 20);
  EXPECT_LT(taken_of(shedding, 1000), 100);
  note(shedding, kMost + 1, 1000);
  EXPECT_GE(taken_of(shedding, 1024), 16) << "some are always taken";
}

TEST(Shedding, EndsWhenTheQueueHasGone) {
  Shedding shedding(kMost);
  note(shedding, kSecond, 1000);
  double before = shedding.share();
  for (int i = 0; i < 70; ++i) {
    shedding.note_wait(0);
    EXPECT_GE(shedding.share(), before);
    before = shedding.share();
  }
  EXPECT_EQ(taken_of(shedding, 1000), 1000);
  note(shedding, kSecond, static_cast<int>(Shedding::kPatience) - 1);
  EXPECT_EQ(taken_of(shedding, 1000), 1000) << "and it is patient again";
}

TEST(Shedding, MayBeOff) {
  Shedding shedding(0);
  note(shedding, kSecond, 1000);
  EXPECT_EQ(taken_of(shedding, 1000), 1000);
}

TEST(OverloadedShard, RefusesMostAtOnceAndServesTheRest) {
  Gate last_words;
  ScriptedUpstream upstream([&](Socket& client, int connection) {
    if (connection == 0) {
      client.receive_message();
      client.send(std::string(kStreamHead) + chunk(delta("one")));
      last_words.wait();
      client.send(chunk(kFinish) + chunk(kUsage) + chunk(kDone) + "0\r\n\r\n");
    }
    while (!client.receive_message().empty()) client.send(with_length(kJsonHead, kAnswer));
  });
  NodePlan plan{.upstream_port = upstream.port()};
  plan.settings.queue_wait_most_ns = 1;  // no message is as fast as that
  TestNode node(plan);
  Socket streaming = Socket::connect_to(node.port());
  streaming.send(chat_request(kAskStream));
  streaming.receive_until("one");
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  Socket client = Socket::connect_to(node.port());
  int refused = 0;
  int served = 0;
  for (int i = 0; i < 200; ++i) {
    client.send(chat_request(kAsk));
    const std::string answer = client.receive_message();
    if (answer.starts_with("HTTP/1.1 503 ")) {
      ++refused;
      EXPECT_NE(answer.find("retry-after: 1\r\n"), std::string::npos) << answer;
      EXPECT_EQ(answer.find("connection: close"), std::string::npos) << answer;
    } else {
      ++served;
      EXPECT_TRUE(answer.ends_with(kAnswer)) << answer;
    }
  }
  EXPECT_GT(refused, 150);
  EXPECT_GT(served, 0);
  last_words.open();
  EXPECT_TRUE(streaming.receive_until("[DONE]").ends_with("[DONE]")) << "open streams go on";
  // A body that is too long to be thrown away is not waited for.
  std::string answer;
  for (int i = 0; i < 5 && !answer.starts_with("HTTP/1.1 503 "); ++i) {
    Socket large = Socket::connect_to(node.port());
    large.send(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-test\r\n"
        "Content-Length: 1000000\r\n\r\n");
    answer = large.receive_until("\r\n\r\n", 1000);
  }
  EXPECT_NE(answer.find("connection: close"), std::string::npos) << answer;
  client.close();
  streaming.close();
  node.stop();
  EXPECT_EQ(node.left().outbox.size(), static_cast<std::size_t>(served) + 1);
}

}  // namespace
}  // namespace sluice::test
