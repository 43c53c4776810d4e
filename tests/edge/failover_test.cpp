// Which provider gets a request, and which one after that: what the client sees of it, what is
// recorded, what other requests learn.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "messages.hpp"
#include "scripted_upstream.hpp"
#include "sluice/policy/breaker.hpp"
#include "sluice/policy/candidates.hpp"
#include "sluice/state/offers.hpp"
#include "stream_formats.hpp"
#include "test_node.hpp"

namespace sluice::test {
namespace {

using policy::Fault;
using policy::RouteReason;
using state::HealthKind;
using std::chrono::milliseconds;

constexpr std::string_view kRole =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";

std::string error_answer(int status, std::string_view body, std::string_view extra = "") {
  return with_length("HTTP/1.1 " + std::to_string(status) + " No\r\n" + std::string(extra) +
                         "Content-Type: application/json\r\n",
                     body);
}

const std::string kRateLimited =
    error_answer(429, R"({"error":{"message":"slow down","type":"rate_limit_error"}})");
const std::string kBadKey =
    error_answer(401, R"({"error":{"message":"bad key","code":"invalid_api_key"}})");
const std::string kOverloaded =
    error_answer(503, R"({"error":{"message":"busy","type":"server_error"}})");

/// Answers every request of a connection with `answer`.
ScriptedUpstream::Script answering(std::string answer) {
  return [answer = std::move(answer)](Socket& client, int) {
    while (!client.receive_message().empty()) client.send(answer);
  };
}

ScriptedUpstream::Script serving() { return answering(with_length(kJsonHead, kAnswer)); }

std::string ask(TestNode& node, std::string_view body = kAsk) {
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(body, "Connection: close\r\n"));
  return client.receive_all();
}

void expect_failure(const state::FailedAttempt& attempt, std::uint32_t channel, int status,
                    Fault fault) {
  EXPECT_EQ(attempt.channel_id, channel);
  EXPECT_EQ(attempt.status, status);
  EXPECT_EQ(static_cast<Fault>(attempt.fault), fault);
}

TEST(Failover, AnAnsweredErrorOfTheProvidersGoesToAnotherChannel) {
  for (const auto& [answer, status, fault] :
       {std::tuple{kRateLimited, 429, Fault::rate}, std::tuple{kBadKey, 401, Fault::key_bad},
        std::tuple{kOverloaded, 503, Fault::overloaded}}) {
    ScriptedUpstream first(answering(answer));
    ScriptedUpstream second(serving());
    TestNode node({.upstream_port = first.port(), .more_upstreams = {second.port()}});
    EXPECT_TRUE(ask(node).ends_with(kAnswer));
    node.stop();
    const state::OutboxRecord& record = node.only_record();
    EXPECT_EQ(record.channel_id, 2U);
    EXPECT_EQ(record.channel_key_id, 20U);
    EXPECT_EQ(record.attempts, 2);
    EXPECT_EQ(static_cast<RouteReason>(record.route_reason), RouteReason::failover);
    expect_failure(record.failed[0], 1, status, fault);
    EXPECT_EQ(record.failed[0].cost, 0) << "nothing was generated";
    EXPECT_EQ(record.failed[1].channel_id, 0U);
    EXPECT_EQ(record.charged, kCost);
    EXPECT_EQ(record.upstream_cost, kCost);
  }
}

TEST(Failover, TheCallersFaultIsTriedOnceAndCoolsNothing) {
  ScriptedUpstream first(
      answering(error_answer(400, R"({"error":{"message":"no","type":"invalid_request_error"}})")));
  ScriptedUpstream second(serving());
  TestNode node({.upstream_port = first.port(), .more_upstreams = {second.port()}});
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(ask(node).starts_with("HTTP/1.1 400 "));
  EXPECT_EQ(second.connections(), 0);
  EXPECT_EQ(node.health(HealthKind::channel, 1).faults.load(), 0U);
  node.stop();
}

TEST(Failover, WhenAllFailTheLastOnesWordsArePassedOn) {
  ScriptedUpstream first(answering(kOverloaded));
  ScriptedUpstream second(answering(kRateLimited));
  TestNode node({.upstream_port = first.port(), .more_upstreams = {second.port()}});
  const std::string answer = ask(node);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 429 ")) << answer;
  EXPECT_NE(answer.find("slow down"), std::string::npos);
  node.stop();
  const state::OutboxRecord& record = node.only_record();
  expect_failure(record.failed[0], 1, 503, Fault::overloaded);
  expect_failure(record.failed[1], 2, 429, Fault::rate);
  EXPECT_EQ(node.wallet().available, 10 * kNanosPerUsd);
}

TEST(Failover, ABreakAfterTheRequestGoesOnOnlyWhereTheModelAllowsIt) {
  for (const bool allowed : {true, false}) {
    ScriptedUpstream first([](Socket& client, int) { client.receive_message(); });
    ScriptedUpstream second(serving());
    NodePlan plan{.upstream_port = first.port(), .more_upstreams = {second.port()}};
    if (!allowed) plan.model_flags = state::kModelEnabled | state::kModelListed;
    TestNode node(plan);
    EXPECT_EQ(ask(node).ends_with(kAnswer), allowed);
    node.stop();
    EXPECT_EQ(second.connections(), allowed ? 1 : 0);
    const state::FailedAttempt& failed = node.only_record().failed[0];
    EXPECT_EQ(failed.sent, 1);
    // It may bill the prompt: three tokens of text and what a message takes.
    EXPECT_EQ(failed.cost, node.only_record().input_estimate * 1000);
    EXPECT_GT(failed.cost, 0);
  }
}

TEST(Failover, WhatCannotBeReachedCostsNothingAndIsAlwaysPassed) {
  std::uint16_t closed_port = 0;
  {
    ScriptedUpstream gone([](Socket&, int) {});
    closed_port = gone.port();
  }
  ScriptedUpstream second(serving());
  TestNode node({.upstream_port = closed_port,
                 .more_upstreams = {second.port()},
                 .model_flags = state::kModelEnabled | state::kModelListed});
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  node.stop();
  EXPECT_EQ(node.only_record().failed[0].sent, 0);
  EXPECT_EQ(node.only_record().failed[0].cost, 0);
}

// ---- connections that were closed between two requests

/// Serves one request of its first connection and ends it at the second one, `reset` or in order;
/// `after` is called in between. Further connections serve, or end at each request too.
ScriptedUpstream::Script closing_at_the_second(
    bool reset, bool recovers, std::function<void()> after = [] {}) {
  return [=](Socket& client, int connection) {
    for (int i = 0;; ++i) {
      if (client.receive_message().empty()) return;
      if (connection == 0 ? i == 1 : !recovers) break;
      client.send(with_length(kJsonHead, kAnswer));
    }
    after();
    if (reset) {
      client.reset();
    } else {
      client.close();
    }
  };
}

TEST(StaleConnection, IsReplacedAndNothingIsHeldAgainstItsChannel) {
  ScriptedUpstream upstream(closing_at_the_second(false, true));
  ScriptedUpstream other(serving());
  TestNode node({.upstream_port = upstream.port(), .more_upstreams = {other.port()}});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ask(node).ends_with(kAnswer)) << i;
  EXPECT_EQ(node.counted(relay::Counter::upstream_stale), 1U);
  EXPECT_EQ(node.counted(relay::Counter::upstream_failures), 0U);
  EXPECT_EQ(node.health(HealthKind::channel, 1).faults.load(), 0U);
  node.stop();
  EXPECT_EQ(upstream.connections(), 2);
  EXPECT_EQ(other.connections(), 0);
  ASSERT_EQ(node.left().outbox.size(), 3U);
  const state::OutboxRecord& record = node.left().outbox[1].record;
  EXPECT_EQ(record.attempts, 1);
  EXPECT_EQ(record.failed[0].channel_id, 0U);
  EXPECT_EQ(record.charged, kCost);
}

// U18: who resets may have read it.
TEST(StaleConnection, ThatIsResetIsNoFaultAndNotSentToTheSameProviderAgain) {
  ScriptedUpstream upstream(closing_at_the_second(true, true));
  TestNode node({.upstream_port = upstream.port()});
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_TRUE(ask(node).starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(upstream.connections(), 1);
  EXPECT_EQ(node.health(HealthKind::channel, 1).faults.load(), 0U);
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  node.stop();
}

TEST(StaleConnection, IsReplacedOnce) {
  ScriptedUpstream upstream(closing_at_the_second(false, false));
  TestNode node({.upstream_port = upstream.port()});
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_TRUE(ask(node).starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(node.health(HealthKind::channel, 1).faults.load(), 1U) << "the new one broke too";
  node.stop();
  EXPECT_EQ(upstream.connections(), 2);
  EXPECT_EQ(node.wallet().available, 10 * kNanosPerUsd - kCost);
}

TEST(StaleConnection, IsNoFaultEitherWhereTheModelForbidsToSendAgain) {
  ScriptedUpstream upstream(closing_at_the_second(false, true));
  TestNode node({.upstream_port = upstream.port(),
                 .model_flags = state::kModelEnabled | state::kModelListed});
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_TRUE(ask(node).starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(node.health(HealthKind::channel, 1).faults.load(), 0U);
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  node.stop();
  EXPECT_EQ(upstream.connections(), 2);
}

TEST(StaleConnection, IsNotOneThatHasBegunToAnswer) {
  ScriptedUpstream upstream([](Socket& client, int) {
    client.receive_message();
    client.send(with_length(kJsonHead, kAnswer));
    client.receive_message();
    client.send(std::string(kJsonHead) + "Content-Length: 100\r\n\r\n{");
  });
  TestNode node({.upstream_port = upstream.port()});
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_FALSE(ask(node).ends_with(kAnswer));
  EXPECT_EQ(node.health(HealthKind::channel, 1).faults.load(), 1U);
  EXPECT_EQ(node.counted(relay::Counter::upstream_stale), 0U);
  node.stop();
  EXPECT_EQ(upstream.connections(), 1);
}

TEST(StaleConnection, IsNotOneThatEndsWhileTheProviderMayBeAtWork) {
  TestNode* late = nullptr;
  ScriptedUpstream upstream(
      closing_at_the_second(false, true, [&] { late->skip(1500 * kMillisecond); }));
  TestNode node({.upstream_port = upstream.port()});
  late = &node;
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_TRUE(ask(node).starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(node.health(HealthKind::channel, 1).faults.load(), 1U);
  node.stop();
  EXPECT_EQ(upstream.connections(), 1);
}

// ---- keys

TEST(ProviderKeys, OneThatIsRefusedIsCooledAndTheOtherServes) {  // D2
  for (const std::string& answer : {kBadKey, kRateLimited}) {
    std::atomic<int> bad{0};
    std::atomic<int> good{0};
    ScriptedUpstream upstream([&](Socket& client, int) {
      for (;;) {
        const std::string request = client.receive_message();
        if (request.empty()) break;
        const bool is_bad = request.find("Bearer bad-secret") != std::string::npos;
        ++(is_bad ? bad : good);
        client.send(is_bad ? answer : with_length(kJsonHead, kAnswer));
      }
    });
    TestNode node(
        {.upstream_port = upstream.port(), .provider_keys = {"bad-secret", "good-secret"}});
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(ask(node).ends_with(kAnswer)) << i;
    EXPECT_EQ(bad, 1);
    EXPECT_EQ(good, 40);
    const auto in_use = [&](HealthKind kind, std::uint32_t id) {
      return policy::may_use(&node.health(kind, id), node.now_ns());
    };
    EXPECT_FALSE(in_use(HealthKind::provider_key, 10));
    EXPECT_TRUE(in_use(HealthKind::provider_key, 11));
    EXPECT_TRUE(in_use(HealthKind::channel, 1));
    node.stop();
    int failed = 0;
    for (const auto& row : node.left().outbox) {
      EXPECT_EQ(row.record.channel_key_id, 11U);
      failed += row.record.failed[0].channel_key_id == 10 ? 1 : 0;
    }
    EXPECT_EQ(failed, 1);
  }
}

TEST(ProviderKeys, TheTimeThatTheProviderAsksForIsKept) {
  std::atomic<int> asked{0};
  ScriptedUpstream upstream([&](Socket& client, int) {
    while (!client.receive_message().empty()) {
      ++asked;
      client.send(asked == 1 ? error_answer(429, R"({"error":{"type":"rate_limit_error"}})",
                                            "retry-after: 40\r\n")
                             : with_length(kJsonHead, kAnswer));
    }
  });
  ScriptedUpstream other(serving());
  TestNode node({.upstream_port = upstream.port(), .more_upstreams = {other.port()}});
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  node.skip(39 * kSecond);
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_EQ(asked, 1);
  node.skip(2 * kSecond);
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_EQ(asked, 2) << "one request probes";
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_EQ(asked, 3) << "and then all come back";
  node.stop();
}

// ---- ejection

TEST(Ejection, AfterFiveFaultsAChannelIsLeftAloneUntilAProbeGoesWell) {  // D5
  std::atomic<bool> broken{true};
  std::atomic<int> asked{0};
  ScriptedUpstream first([&](Socket& client, int) {
    while (!client.receive_message().empty()) {
      ++asked;
      client.send(broken ? kOverloaded : with_length(kJsonHead, kAnswer));
    }
  });
  ScriptedUpstream second(serving());
  TestNode node({.upstream_port = first.port(), .more_upstreams = {second.port()}});
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_EQ(asked, 5);
  node.skip(2 * kSecond);
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_EQ(asked, 6) << "one probe, and a longer rest when it fails";
  broken = false;
  node.skip(1 * kSecond);
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_EQ(asked, 6);
  node.skip(2 * kSecond);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ask(node).ends_with(kAnswer));
  EXPECT_EQ(asked, 9);
  node.stop();
  EXPECT_EQ(node.left().outbox.back().record.channel_id, 1U);
}

TEST(Ejection, TheLastWayIsTriedWhateverHappened) {
  std::atomic<int> asked{0};
  ScriptedUpstream only([&](Socket& client, int) {
    while (!client.receive_message().empty()) {
      ++asked;
      client.send(asked <= 10 ? kOverloaded : with_length(kJsonHead, kAnswer));
    }
  });
  TestNode node({.upstream_port = only.port()});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(ask(node).starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(asked, 10);
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  node.stop();
  const auto& rows = node.left().outbox;
  EXPECT_EQ(static_cast<RouteReason>(rows.front().record.route_reason), RouteReason::only);
  EXPECT_EQ(static_cast<RouteReason>(rows.back().record.route_reason), RouteReason::last_way);
}

TEST(Ejection, WhatOneProcessLearnsAnotherUsesAtOnce) {  // D5
  ScriptedUpstream first(serving());
  ScriptedUpstream second(serving());
  TestNode node({.upstream_port = first.port(), .more_upstreams = {second.port()}});
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  // Another shard's finding, by its own view of the board.
  policy::note_fault(&node.health(HealthKind::channel, 1), Fault::overloaded, node.now_ns(),
                     30 * kSecond);
  EXPECT_TRUE(ask(node).ends_with(kAnswer));
  node.stop();
  ASSERT_EQ(node.left().outbox.size(), 2U);
  EXPECT_EQ(node.left().outbox[0].record.channel_id, 1U);
  EXPECT_EQ(node.left().outbox[1].record.channel_id, 2U);
  EXPECT_EQ(static_cast<RouteReason>(node.left().outbox[1].record.route_reason),
            RouteReason::passed_over);
}

TEST(RetryBudget, AStormIsNotSentTwice) {
  ScriptedUpstream first([](Socket& client, int) { client.receive_message(); });
  ScriptedUpstream second([](Socket& client, int) { client.receive_message(); });
  TestNode node({.upstream_port = first.port(), .more_upstreams = {second.port()}});
  int connections = 0;
  constexpr int kRequests = 60;
  for (int i = 0; i < kRequests; ++i) ask(node);
  connections = first.connections() + second.connections();
  // Ten that are always there, ten a second, and one in five requests.
  EXPECT_LT(connections, kRequests + 10 + kRequests / 5 + 30);
  EXPECT_GE(connections, kRequests + 10);
  node.stop();
}

// ---- probes

TEST(Probes, AChannelThatWasLeftAloneIsAskedForItsModelsFirst) {  // D6
  std::atomic<bool> down{true};
  std::atomic<int> asked{0};
  std::atomic<int> probed{0};
  ScriptedUpstream first([&](Socket& client, int) {
    for (;;) {
      const std::string request = client.receive_message();
      if (request.empty()) break;
      const bool probe = request.starts_with("GET /v1/models HTTP/1.1\r\n");
      ++(probe ? probed : asked);
      if (down) break;  // the connection breaks
      client.send(with_length(kJsonHead, probe ? R"({"data":[]})" : kAnswer));
    }
  });
  ScriptedUpstream second(serving());
  NodePlan plan{.upstream_port = first.port(), .more_upstreams = {second.port()}};
  plan.settings.probe_interval_ns = 200 * kMillisecond;
  TestNode node(plan);
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(ask(node).ends_with(kAnswer));
  const state::HealthEntry& health = node.health(HealthKind::channel, 1);
  EXPECT_GE(health.ejections.load(), 1U);
  const int asked_before = asked;
  node.skip(2 * kSecond);
  for (int i = 0; i < 300 && health.probes_failed.load() == 0; ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_GE(health.probes_failed.load(), 1U);
  EXPECT_EQ(asked, asked_before) << "no client had to find out";
  down = false;
  for (int i = 0; i < 300 && !policy::may_use(&health, node.now_ns()); ++i) {
    node.skip(kSecond);
    std::this_thread::sleep_for(milliseconds(30));
  }
  for (int i = 0; i < 100 && asked == asked_before; ++i) ask(node);
  EXPECT_GT(asked, asked_before);
  EXPECT_GE(probed, 2);
  node.stop();
  EXPECT_EQ(node.left().outbox.back().record.channel_id, 1U);
}

TEST(Probes, LeaveTheListOfModelsForTheLedgerOnceInAWhile) {  // D6
  std::atomic<int> lists{0};
  ScriptedUpstream first([&](Socket& client, int) {
    for (;;) {
      const std::string request = client.receive_message();
      if (request.empty()) break;
      const bool probe = request.starts_with("GET /v1/models HTTP/1.1\r\n");
      lists += probe ? 1 : 0;
      client.send(
          with_length(kJsonHead, probe ? R"({"data":[{"id":"a"},{"id":"b c"}]})" : kAnswer));
    }
  });
  ScriptedUpstream hostile(answering(with_length(kJsonHead, "[[[[[[[[")));
  NodePlan plan{.upstream_port = first.port(), .more_upstreams = {hostile.port()}};
  plan.settings.probe_interval_ns = 200 * kMillisecond;
  TestNode node(plan);
  const auto offer = [&] {
    for (int i = 0; i < 500; ++i) {
      if (auto found = state::read_offer(node.epoch_directory(), 1)) return *found;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return state::Offer{};
  };
  const state::Offer read = offer();
  EXPECT_EQ(read.models, std::vector<std::string>{"a"});
  EXPECT_FALSE(read.complete) << "one of them is no name";
  for (int i = 0; i < 500 && lists < 2; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_GE(lists, 2) << "an idle channel is probed";
  state::remove_offer(node.epoch_directory(), 1);
  // From here on the board says that it is in use.
  const auto then = static_cast<std::uint32_t>((node.now_ns() + 7200 * kSecond) / (10 * kSecond));
  node.health(HealthKind::channel, 1).window = state::pack(state::FaultWindow{.number = then});
  std::this_thread::sleep_for(milliseconds(2500));
  EXPECT_FALSE(state::read_offer(node.epoch_directory(), 1)) << "its list is not read each time";
  const int before = lists;
  node.skip(3601 * kSecond);
  EXPECT_EQ(offer().models, std::vector<std::string>{"a"});
  EXPECT_EQ(lists, before + 1) << "a channel in use is asked once an hour";
  EXPECT_FALSE(state::read_offer(node.epoch_directory(), 2)) << "that was no list";
  EXPECT_EQ(node.health(HealthKind::channel, 2).faults.load(), 0U);
  node.stop();
}

// ---- late commit

TEST(LateCommit, AStreamThatBreaksBeforeItsFirstTokenIsAnsweredByAnother) {
  ScriptedUpstream first([](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(kRole));
    std::this_thread::sleep_for(milliseconds(20));
  });
  ScriptedUpstream second([](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(delta("hello")) + chunk(kFinish) + chunk(kUsage) +
                chunk(kDone) + "0\r\n\r\n");
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = first.port(), .more_upstreams = {second.port()}});
  const std::string payload = payload_of(ask(node, kAskStream));
  EXPECT_EQ(payload, delta("hello") + std::string(kFinish) + std::string(kDone));
  node.stop();
  EXPECT_EQ(node.only_record().charged, kCost);
  expect_failure(node.only_record().failed[0], 1, 0, Fault::broke);
}

class FailoverOf : public EachFormat {};
INSTANTIATE_TEST_SUITE_P(LateCommit, FailoverOf, ::testing::ValuesIn(stream_formats()),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(FailoverOf, APingDoesNotEndFailover) {
  const StreamFormat& format = GetParam();
  // Gemini begins with content: there a comment stands for what is not semantic.
  const std::string before = format.opening.empty() ? ": accepted\n\n" : format.opening;
  Gate broken;
  ScriptedUpstream first([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(before));
    broken.wait();
  });
  ScriptedUpstream second([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(format.opening + format.content + format.ending) +
                "0\r\n\r\n");
    client.peer_ended(5000);
  });
  NodePlan two = plan(first);
  two.more_upstreams = {second.port()};
  TestNode node(two);
  Socket client = Socket::connect_to(node.port());
  client.send(format.request);
  std::this_thread::sleep_for(milliseconds(100));
  node.skip(16 * kSecond);
  const std::string head = client.receive_until(format.ping + "\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 ")) << head;
  EXPECT_TRUE(head.ends_with(chunk(format.ping))) << head;
  EXPECT_EQ(head.find(before), std::string::npos) << "the first provider is not committed";
  broken.open();
  const std::string rest = client.receive_all();
  EXPECT_EQ(payload_of("\r\n\r\n" + rest), format.opening + format.content + format.ending);
  EXPECT_TRUE(rest.ends_with("0\r\n\r\n"));
  node.stop();
  EXPECT_EQ(node.only_record().channel_id, 2U);
  EXPECT_EQ(node.only_record().charged, kCost);
}

TEST(LateCommit, ASilentProviderIsBridgedBeforeItsHead) {
  Gate asked;
  Gate answer;
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    asked.open();
    answer.wait();
    client.send(std::string(kStreamHead) + chunk(delta("hello")) + chunk(kFinish) + chunk(kUsage) +
                chunk(kDone) + "0\r\n\r\n");
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream, "Connection: close\r\n"));
  asked.wait();
  node.skip(16 * kSecond);
  const std::string head = client.receive_until(": keep-alive\n\n\r\n");
  EXPECT_NE(head.find("content-type: text/event-stream\r\n"), std::string::npos) << head;
  answer.open();
  const std::string rest = client.receive_all();
  EXPECT_EQ(payload_of("\r\n\r\n" + rest),
            delta("hello") + std::string(kFinish) + std::string(kDone));
  node.stop();
  EXPECT_EQ(node.only_record().charged, kCost);
}

TEST(LateCommit, BetweenTheElementsOfAnArrayThereIsWhiteSpace) {
  Gate asked;
  Gate answer;
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string body =
      R"([{"candidates":[{"content":{"parts":[{"text":"hello"}]},"finishReason":"STOP"}],)"
      R"("usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":50}}])";
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    asked.open();
    answer.wait();
    client.send(head + chunk(body) + "0\r\n\r\n");
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port(),
                 .upstream_format = static_cast<std::uint8_t>(dialect::Format::gemini)});
  Socket client = Socket::connect_to(node.port());
  client.send(stream_request("/v1beta/models/m:streamGenerateContent", R"({"contents":[]})"));
  asked.wait();
  node.skip(16 * kSecond);
  const std::string first = client.receive_until("\r\n\r\n1\r\n\n\r\n");
  EXPECT_NE(first.find("content-type: application/json\r\n"), std::string::npos) << first;
  answer.open();
  EXPECT_EQ(payload_of("\r\n\r\n" + client.receive_all()), body);
  node.stop();
  EXPECT_EQ(node.only_record().charged, kCost);
}

TEST(LateCommit, AfterAPingAFailureIsTheFormatsOwnErrorEvent) {
  Gate asked;
  Gate answer;
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    asked.open();
    answer.wait();
    client.send(kRateLimited);
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream));
  asked.wait();
  node.skip(16 * kSecond);
  client.receive_until(": keep-alive\n\n\r\n");
  answer.open();
  const std::string rest = client.receive_all();
  EXPECT_NE(rest.find("data: {\"error\":"), std::string::npos) << rest;
  EXPECT_NE(rest.find("rate"), std::string::npos) << rest;
  EXPECT_FALSE(rest.ends_with("0\r\n\r\n"));
  node.stop();
  EXPECT_EQ(node.wallet().available, 10 * kNanosPerUsd);
}

TEST(LateCommit, AnErrorWithStatus200GoesToAnotherChannel) {
  for (const bool stream : {true, false}) {
    constexpr std::string_view kBody = R"({"error":{"message":"busy","type":"server_error"}})";
    ScriptedUpstream first([&](Socket& client, int) {
      client.receive_message();
      client.send(stream ? std::string(kStreamHead) +
                               chunk("data: " + std::string(kBody) + "\n\n") + "0\r\n\r\n"
                         : with_length(kJsonHead, kBody));
      client.peer_ended(5000);
    });
    ScriptedUpstream second([&](Socket& client, int) {
      client.receive_message();
      client.send(stream ? std::string(kStreamHead) + chunk(delta("hello")) + chunk(kFinish) +
                               chunk(kUsage) + chunk(kDone) + "0\r\n\r\n"
                         : with_length(kJsonHead, kAnswer));
      client.peer_ended(5000);
    });
    TestNode node({.upstream_port = first.port(), .more_upstreams = {second.port()}});
    const std::string answer = ask(node, stream ? kAskStream : kAsk);
    EXPECT_EQ(answer.find("busy"), std::string::npos) << answer;
    EXPECT_NE(answer.find("hello"), std::string::npos) << answer;
    node.stop();
    EXPECT_EQ(node.only_record().channel_id, 2U);
    expect_failure(node.only_record().failed[0], 1, 200, Fault::overloaded);
  }
}

// ---- times

TEST(Timeouts, EachPhaseHasItsOwn) {  // D9
  struct Case {
    const char* name;
    ScriptedUpstream::Script script;
    std::function<void(NodePlan&)> limit;
    const char* expected;
  };
  const auto silent = [](Socket& client, int) {
    client.receive_message();
    client.peer_ended(5000);
  };
  const auto headless = [](Socket& client, int) {
    client.receive_message();
    client.send(kStreamHead);
    while (!client.peer_ended(20)) client.send(chunk(": alive\n\n"));
  };
  const auto stalling = [](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(delta("one two")));
    client.peer_ended(5000);
  };
  const auto endless = [](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead));
    while (!client.peer_ended(20)) client.send(chunk(delta("word")));
  };
  const Case cases[] = {
      {"first byte of the model", silent,
       [](NodePlan& plan) { plan.model_times.first_byte_ms = 150; }, "HTTP/1.1 504 "},
      {"first token of the model", headless,
       [](NodePlan& plan) { plan.model_times.first_token_ms = 150; }, "HTTP/1.1 200 "},
      {"between tokens of the model", stalling,
       [](NodePlan& plan) { plan.model_times.between_tokens_ms = 150; }, "ended the stream"},
      {"total of the model", endless, [](NodePlan& plan) { plan.model_times.total_ms = 150; },
       "longer than is allowed"},
      {"first byte of the node", silent,
       [](NodePlan& plan) { plan.settings.first_byte_stream_ns = 150 * kMillisecond; },
       "HTTP/1.1 504 "},
      {"first token of the node", headless,
       [](NodePlan& plan) { plan.settings.first_token_ns = 150 * kMillisecond; }, "HTTP/1.1 200 "}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    ScriptedUpstream upstream(c.script);
    NodePlan plan{.upstream_port = upstream.port()};
    c.limit(plan);
    TestNode node(plan);
    const TimeNs start_ns = system_clock().monotonic_ns();
    const std::string answer = ask(node, kAskStream);
    const TimeNs lasted_ns = system_clock().monotonic_ns() - start_ns;
    EXPECT_GE(lasted_ns, 140 * kMillisecond);
    EXPECT_LT(lasted_ns, 3 * kSecond);
    EXPECT_NE(answer.find(c.expected), std::string::npos) << answer.substr(0, 600);
    EXPECT_NE(answer.find("\"error\""), std::string::npos) << answer.substr(0, 600);
    node.stop();
  }
}

// ---- pins

TEST(Pins, AKeyThatMayChooseGetsItsChannelAndOthersAreRefused) {  // D8
  ScriptedUpstream first(serving());
  ScriptedUpstream second(serving());
  for (const bool may : {true, false}) {
    NodePlan plan{.upstream_port = first.port(), .more_upstreams = {second.port()}};
    plan.key.flags = may ? state::kKeyMayPin : 0U;
    TestNode node(plan);
    Socket client = Socket::connect_to(node.port());
    client.send(chat_request(kAsk, "x-sluice-channel: channel-2\r\nConnection: close\r\n"));
    const std::string answer = client.receive_all();
    EXPECT_TRUE(answer.starts_with(may ? "HTTP/1.1 200 " : "HTTP/1.1 403 ")) << answer;
    node.stop();
    if (!may) continue;
    EXPECT_EQ(node.only_record().channel_id, 2U);
    EXPECT_EQ(static_cast<RouteReason>(node.only_record().route_reason), RouteReason::pinned);
  }
  EXPECT_EQ(first.connections(), 0);
}

TEST(Pins, AChannelThatIsNotThereIsSaid) {
  ScriptedUpstream upstream(serving());
  NodePlan plan{.upstream_port = upstream.port()};
  plan.key.flags = state::kKeyMayPin;
  TestNode node(plan);
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk, "x-sluice-channel: nowhere\r\nConnection: close\r\n"));
  EXPECT_TRUE(client.receive_all().starts_with("HTTP/1.1 400 "));
  node.stop();
}

TEST(Pins, ThePinnedChannelIsNotLeft) {
  ScriptedUpstream first(answering(kOverloaded));
  ScriptedUpstream second(serving());
  NodePlan plan{.upstream_port = first.port(), .more_upstreams = {second.port()}};
  plan.key.flags = state::kKeyMayPin;
  TestNode node(plan);
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk, "x-sluice-channel: channel-1\r\nConnection: close\r\n"));
  EXPECT_TRUE(client.receive_all().starts_with("HTTP/1.1 503 "));
  node.stop();
  EXPECT_EQ(second.connections(), 0);
}

// ---- drills

TEST(Drills, TheFirstWaysFailBeforeTheyBeginAndNothingIsHeldAgainstThem) {
  ScriptedUpstream first(serving());
  ScriptedUpstream second(serving());
  NodePlan plan{.upstream_port = first.port(), .more_upstreams = {second.port()}};
  plan.key.flags = state::kKeyMayPin;
  TestNode node(plan);
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk, "x-sluice-drill: 1\r\nConnection: close\r\n"));
  EXPECT_TRUE(client.receive_all().ends_with(kAnswer));
  EXPECT_EQ(node.health(HealthKind::channel, 1).faults.load(), 0U);
  node.stop();
  EXPECT_EQ(first.connections(), 0);
  EXPECT_EQ(node.only_record().channel_id, 2U);
  expect_failure(node.only_record().failed[0], 1, 0, Fault::drill);
}

TEST(Drills, AreOfKeysThatMayChoose) {
  ScriptedUpstream upstream(serving());
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk, "x-sluice-drill: 1\r\nConnection: close\r\n"));
  EXPECT_TRUE(client.receive_all().starts_with("HTTP/1.1 403 "));
  node.stop();
}

// ---- names

TEST(Names, APatternIsANameAndTheProviderHearsWhatWasAsked) {  // D3
  std::string seen;
  ScriptedUpstream upstream([&](Socket& client, int) {
    seen = client.receive_message();
    client.send(with_length(kJsonHead, kAnswer));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port(), .aliases = {"m-*"}, .upstream_model = "*"});
  EXPECT_TRUE(ask(node, R"({"model":"m-2026-11","messages":[]})").ends_with(kAnswer));
  EXPECT_TRUE(seen.ends_with(R"({"model":"m-2026-11","messages":[]})")) << seen;
  EXPECT_TRUE(ask(node, R"({"model":"mm-2026-11","messages":[]})").starts_with("HTTP/1.1 404 "));
  node.stop();
  EXPECT_EQ(node.only_record().model_id, 1U);
}

TEST(Names, AGroupIsItsFirstModelThatCanBeServed) {  // D3
  std::atomic<int> asked{0};
  ScriptedUpstream first([&](Socket& client, int) {
    while (!client.receive_message().empty()) {
      ++asked;
      client.send(kOverloaded);
    }
  });
  ScriptedUpstream second(serving());
  TestNode node({.upstream_port = first.port(), .second_model = {second.port()}});
  const std::string any = R"({"model":"any","messages":[{"role":"user","content":"hi"}]})";
  EXPECT_TRUE(ask(node, any).ends_with(kAnswer));
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(ask(node, any).ends_with(kAnswer));
  EXPECT_EQ(asked, 5) << "then it is left alone";
  node.stop();
  // The first request: a void of the model that failed, and the bill of the one that served.
  const auto& rows = node.left().outbox;
  ASSERT_EQ(rows.size(), 12U);
  EXPECT_EQ(rows[0].record.model_id, 1U);
  EXPECT_EQ(rows[0].record.charged, 0);
  expect_failure(rows[0].record.failed[0], 1, 503, Fault::overloaded);
  EXPECT_EQ(rows[1].record.model_id, 2U);
  EXPECT_EQ(rows[1].record.charged, kCost);
  EXPECT_EQ(rows[1].record.route_group_id, 5U);
  EXPECT_EQ(rows[0].record.request_id, rows[1].record.request_id);
  EXPECT_EQ(node.wallet().available, 10 * kNanosPerUsd - 7 * kCost);
}

TEST(Names, AGroupIsListedBesideItsModels) {
  ScriptedUpstream first(serving());
  ScriptedUpstream second(serving());
  TestNode node({.upstream_port = first.port(), .second_model = {second.port()}});
  Socket client = Socket::connect_to(node.port());
  client.send("GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-test\r\n\r\n");
  const std::string answer = client.receive_message();
  for (const char* name : {"\"id\":\"m\"", "\"id\":\"n\"", "\"id\":\"any\""})
    EXPECT_NE(answer.find(name), std::string::npos) << answer;
  client.close();
  node.stop();
}

// ---- sessions

TEST(Sessions, StayOnOneKeyAndMoveWhenItFails) {  // D10
  std::atomic<bool> refuses{false};
  std::string refused_key;
  std::mutex mutex;
  std::vector<std::string> used;
  ScriptedUpstream upstream([&](Socket& client, int) {
    for (;;) {
      const std::string request = client.receive_message();
      if (request.empty()) break;
      const std::string key = request.substr(request.find("Bearer ") + 7, 5);
      const std::lock_guard lock(mutex);
      if (refuses && key == refused_key) {
        client.send(kRateLimited);
        continue;
      }
      used.push_back(key);
      client.send(with_length(kJsonHead, kAnswer));
    }
  });
  TestNode node(
      {.upstream_port = upstream.port(), .provider_keys = {"key-a", "key-b", "key-c", "key-d"}});
  Socket client = Socket::connect_to(node.port());
  const auto send = [&](std::string_view extra, std::string_view body) {
    client.send(chat_request(body, extra));
    ASSERT_TRUE(client.receive_message().ends_with(kAnswer));
  };
  constexpr std::string_view kSession = "x-claude-code-session-id: 0b1c\r\n";
  for (int i = 0; i < 300; ++i) send(kSession, kAsk);
  EXPECT_EQ(std::set(used.begin(), used.end()).size(), 1U);
  refused_key = used.front();
  refuses = true;
  used.clear();
  for (int i = 0; i < 300; ++i) send(kSession, kAsk);
  EXPECT_EQ(std::set(used.begin(), used.end()).size(), 1U);
  EXPECT_NE(used.front(), refused_key);
  refuses = false;
  used.clear();
  // Other sessions are elsewhere, by whatever the request names them.
  for (int i = 0; i < 60; ++i) {
    send("", R"({"model":"m","prompt_cache_key":"s)" + std::to_string(i) +
                 R"(","messages":[{"role":"user","content":"hi"}]})");
  }
  EXPECT_GE(std::set(used.begin(), used.end()).size(), 3U);
  client.close();
  node.stop();
}

}  // namespace
}  // namespace sluice::test
