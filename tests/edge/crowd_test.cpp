// More clients than there is room for: who goes, who is served, what they take.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "messages.hpp"
#include "scripted_upstream.hpp"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;

ScriptedUpstream::Script answers() {
  return [](Socket& client, int) {
    while (!client.receive_message().empty()) client.send(with_length(kJsonHead, kAnswer));
  };
}

TEST(Crowd, ThoseWithoutARequestMakeRoomForThoseWithOne) {
  Gate last_words;
  ScriptedUpstream streams([&](Socket& client, int connection) {
    client.receive_message();
    if (connection > 0) {
      client.send(with_length(kJsonHead, kAnswer));
      client.peer_ended(5000);
      return;
    }
    client.send(std::string(kStreamHead) + chunk(delta("one")));
    last_words.wait();
    client.send(chunk(kFinish) + chunk(kUsage) + chunk(kDone) + "0\r\n\r\n");
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = streams.port(), .connections_most = 8});
  Socket streaming = Socket::connect_to(node.port());
  streaming.send(chat_request(kAskStream));
  streaming.receive_until("one");
  std::vector<Socket> silent;
  for (int i = 0; i < 7; ++i) {
    silent.push_back(Socket::connect_to(node.port()));
    if (i % 2 == 1) silent.back().send("POST /v1/chat/completions HTTP/1.1\r\nHo");
  }
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_FALSE(silent.front().peer_ended(0)) << "there was room";
  node.skip(2 * kSecond);
  Socket late = Socket::connect_to(node.port());
  late.send(chat_request(kAsk));
  EXPECT_TRUE(late.receive_message().ends_with(kAnswer));
  EXPECT_TRUE(silent.front().peer_ended(1000)) << "the one that had waited longest";
  EXPECT_FALSE(silent.back().peer_ended(0));
  last_words.open();
  EXPECT_TRUE(streaming.receive_until("[DONE]").ends_with("[DONE]"));
  late.close();
  streaming.close();
  silent.clear();
  node.stop();
}

TEST(Crowd, OneAddressGetsNoMoreThanItsShare) {
  ScriptedUpstream upstream(answers());
  TestNode node({.upstream_port = upstream.port(), .connections_per_address = 3});
  std::vector<Socket> allowed;
  for (int i = 0; i < 3; ++i) {
    allowed.push_back(Socket::connect_to(node.port()));
    allowed.back().send(chat_request(kAsk));
    EXPECT_TRUE(allowed.back().receive_message().ends_with(kAnswer));
  }
  Socket fourth = Socket::connect_to(node.port());
  EXPECT_TRUE(fourth.peer_ended(2000));
  allowed.pop_back();
  std::string answer;
  for (int i = 0; i < 100 && answer.empty(); ++i) {
    Socket again = Socket::connect_to(node.port());
    again.send(chat_request(kAsk));
    answer = again.receive_message();
    if (answer.empty()) std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_TRUE(answer.ends_with(kAnswer)) << answer;
  allowed.clear();
  node.stop();
}

// Not only bodies that are whole: a crowd of slow uploads would take without bound.
TEST(Crowd, BodiesThatAreStillComingShareTheMemoryForBodies) {
  ScriptedUpstream upstream(answers());
  NodePlan plan{.upstream_port = upstream.port()};
  plan.settings.bodies_total_bytes = kMiB;
  TestNode node(plan);
  const std::string whole =
      chat_request(R"({"model":"m","messages":[],"padding":")" + std::string(700'000, 'x') + "\"}");
  Socket first = Socket::connect_to(node.port());
  first.send(std::string_view(whole).substr(0, 600'000));
  std::this_thread::sleep_for(milliseconds(100));
  Socket second = Socket::connect_to(node.port());
  second.send(whole);
  const std::string refused = second.receive_message();
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 503 ")) << refused;
  EXPECT_NE(refused.find("retry-after: 1"), std::string::npos) << refused;
  first.send(std::string_view(whole).substr(600'000));
  EXPECT_TRUE(first.receive_message().ends_with(kAnswer));
  first.close();
  Socket third = Socket::connect_to(node.port());
  third.send(whole);
  EXPECT_TRUE(third.receive_message().ends_with(kAnswer));
  third.close();
  second.close();
  node.stop();
}

}  // namespace
}  // namespace sluice::test
