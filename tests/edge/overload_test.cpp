// More requests than a shard can serve: some are refused at once, the others are served as ever.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "messages.hpp"
#include "scripted_upstream.hpp"

namespace sluice::test {
namespace {

bool is_shed(const std::string& answer) { return answer.starts_with("HTTP/1.1 503 "); }

/// A shard that begins one request a turn, on which none may wait: whoever comes together with
/// others is refused.
NodePlan hasty(const ScriptedUpstream& upstream) {
  NodePlan plan{.upstream_port = upstream.port()};
  plan.settings.admission = {
      .most_wait_ns = 1, .starts_a_turn = 1, .cheap_refusals_a_second = 0};
  return plan;
}

ScriptedUpstream::Script answering() {
  return [](Socket& client, int) {
    while (!client.receive_message().empty()) client.send(with_length(kJsonHead, kAnswer));
  };
}

TEST(OverloadedShard, RefusesManyAtOnceAndServesTheOthers) {
  Gate last_words;
  ScriptedUpstream upstream([&](Socket& client, int connection) {
    if (connection == 0) {
      client.receive_message();
      client.send(std::string(kStreamHead) + chunk(delta("one")));
      last_words.wait();
      client.send(chunk(kFinish) + chunk(kUsage) + chunk(kDone) + "0\r\n\r\n");
    }
    answering()(client, connection);
  });
  TestNode node(hasty(upstream));
  Socket streaming = Socket::connect_to(node.port());
  streaming.send(chat_request(kAskStream));
  streaming.receive_until("one");
  // Requests behind one another on many connections: a turn finds several.
  std::vector<Socket> crowd;
  for (int i = 0; i < 200; ++i) crowd.push_back(Socket::connect_to(node.port()));
  int refused = 0;
  int served = 0;
  for (int round = 0; round < 10 && (refused == 0 || served == 0); ++round) {
    for (Socket& client : crowd) client.send(chat_request(kAsk));
    for (Socket& client : crowd) {
      const std::string answer = client.receive_message();
      if (is_shed(answer)) {
        ++refused;
        EXPECT_NE(answer.find("retry-after: 1\r\n"), std::string::npos) << answer;
        EXPECT_EQ(answer.find("connection: close"), std::string::npos) << answer;
      } else {
        ++served;
        EXPECT_TRUE(answer.ends_with(kAnswer)) << answer;
      }
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(served, 0);
  last_words.open();
  EXPECT_TRUE(streaming.receive_until("[DONE]").ends_with("[DONE]")) << "open streams go on";
  crowd.clear();
  streaming.close();
  node.stop();
  EXPECT_EQ(node.left().outbox.size(), static_cast<std::size_t>(served) + 1);
}

/// Asks on many connections at once until one of them is refused; returns that one.
Socket refused_client(TestNode& node) {
  for (int round = 0; round < 50; ++round) {
    std::vector<Socket> crowd;
    for (int i = 0; i < 100; ++i) crowd.push_back(Socket::connect_to(node.port()));
    for (Socket& client : crowd) client.send(chat_request(kAsk));
    for (Socket& client : crowd) {
      if (is_shed(client.receive_message())) return std::move(client);
    }
  }
  ADD_FAILURE() << "nobody was refused";
  return Socket::connect_to(node.port());
}

TEST(OverloadedShard, WhoAsksAgainAtOnceIsNotLookedAtBeforeTheTimeThatItWasTold) {
  ScriptedUpstream upstream(answering());
  TestNode node(hasty(upstream));
  Socket client = refused_client(node);
  client.send(chat_request(kAsk));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(client.received(), "");
  node.skip(kSecond);
  EXPECT_TRUE(client.receive_message().ends_with(kAnswer));
  node.stop();
}

TEST(OverloadedShard, DoesNotWaitForThoseItHoldsOff) {
  ScriptedUpstream upstream(answering());
  TestNode node(hasty(upstream));
  Socket leaves = refused_client(node);
  Socket stays = refused_client(node);
  leaves.reset();
  const auto begun = std::chrono::steady_clock::now();
  node.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(600));
  EXPECT_TRUE(stays.peer_ended(1000));
}

TEST(OverloadedShard, DoesNotWaitForABodyThatIsTooLongToBeThrownAway) {
  ScriptedUpstream upstream(answering());
  NodePlan plan = hasty(upstream);
  plan.settings.admission = {.most_wait_ns = 1, .starts_a_turn = 0};
  TestNode node(plan);
  Socket large = Socket::connect_to(node.port());
  large.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-test\r\n"
      "Content-Length: 1000000\r\n\r\n");
  const std::string answer = large.receive_until("\r\n\r\n", 1000);
  EXPECT_TRUE(is_shed(answer)) << answer;
  EXPECT_NE(answer.find("connection: close"), std::string::npos) << answer;
  node.stop();
}

}  // namespace
}  // namespace sluice::test
