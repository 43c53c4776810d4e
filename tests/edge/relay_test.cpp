// One shard between a client and a provider, both played by the test: what goes through, what it
// costs.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "messages.hpp"
#include "scripted_upstream.hpp"
#include "sluice/dialect/format.hpp"
#include "test_node.hpp"

namespace sluice::test {
namespace {

TEST(Relay, WholeAnswerIsRelayedAndSettledExactly) {
  std::string seen;
  ScriptedUpstream upstream([&](Socket& client, int) {
    seen = client.receive_message();
    client.send(with_length(kJsonHead, kAnswer));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk));
  const std::string answer = client.receive_message();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with(kAnswer)) << answer;
  EXPECT_NE(answer.find("x-request-id: "), std::string::npos);
  EXPECT_NE(answer.find("server-timing: gateway;dur="), std::string::npos);
  client.close();
  node.stop();
  // The body went out with the model's upstream name and nothing else changed.
  EXPECT_TRUE(seen.starts_with("POST /v1/chat/completions HTTP/1.1\r\n")) << seen;
  EXPECT_NE(seen.find("authorization: Bearer provider-secret\r\n"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("sk-test"), std::string::npos);
  EXPECT_TRUE(seen.ends_with(R"({"model":"up-m","messages":[{"role":"user","content":"hi"}]})"))
      << seen;
  EXPECT_EQ(node.only_record().charged, kCost);
  EXPECT_EQ(node.only_record().counts.output, 50);
  EXPECT_EQ(node.wallet().available, 10 * kNanosPerUsd - kCost);
}

TEST(Relay, StreamIsByteExactWithoutTheUsageChunkNobodyAskedFor) {
  std::string seen;
  ScriptedUpstream upstream([&](Socket& client, int) {
    seen = client.receive_message();
    client.send(kStreamHead);
    client.send(chunk(delta("hel")));
    client.send(chunk(delta("lo")) + chunk(kFinish));
    client.send(chunk(kUsage));
    client.send(chunk(kDone) + "0\r\n\r\n");
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream, "Connection: close\r\n"));
  const std::string answer = client.receive_all();
  const std::string payload = payload_of(answer);
  EXPECT_EQ(payload, delta("hel") + delta("lo") + std::string(kFinish) + std::string(kDone));
  node.stop();
  EXPECT_NE(seen.find("\"stream_options\":{\"include_usage\":true}"), std::string::npos) << seen;
  EXPECT_EQ(node.only_record().charged, kCost);
  EXPECT_EQ(node.only_record().stream, 1);
}

// Chunks that arrive many at a time, cut anywhere, while the client is slower than the provider.
TEST(Relay, BurstOfChunksKeepsEveryByteInOrder) {
  std::string sent;
  for (int i = 0; i < 600; ++i)
    sent += delta("<" + std::to_string(i) + ">" + std::string(250, 'x'));
  sent += std::string(kFinish);
  const std::string tail = std::string(kUsage) + std::string(kDone);
  for (const std::size_t size : {std::size_t{300}, std::size_t{777}, std::size_t{9000}}) {
    ScriptedUpstream upstream([&](Socket& client, int) {
      client.receive_message();
      std::string text(kStreamHead);
      const std::string all = sent + tail;
      for (std::size_t at = 0; at < all.size(); at += size) text += chunk(all.substr(at, size));
      client.send(text + "0\r\n\r\n");
      client.peer_ended(5000);
    });
    TestNode node({.upstream_port = upstream.port()});
    Socket client = Socket::connect_to(node.port());
    client.send(chat_request(kAskStream, "Connection: close\r\n"));
    const std::string payload = payload_of(client.receive_all());
    const std::string expected = sent + std::string(kDone);
    const auto [a, b] =
        std::mismatch(payload.begin(), payload.end(), expected.begin(), expected.end());
    EXPECT_TRUE(payload == expected)
        << "chunks of " << size << ": " << payload.size() << " of " << expected.size()
        << " bytes, first difference at " << a - payload.begin() << "\n"
        << payload.substr(static_cast<std::size_t>(a - payload.begin()), 400);
    static_cast<void>(b);
  }
}

TEST(Relay, WrongKeyIsRefusedBeforeAnythingIsReserved) {
  ScriptedUpstream upstream([](Socket&, int) {});
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wrong\r\n"
      "Content-Length: 2\r\n\r\n{}");
  const std::string answer = client.receive_message();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 ")) << answer;
  node.stop();
  EXPECT_EQ(upstream.connections(), 0);
  EXPECT_TRUE(node.left().outbox.empty());
}

TEST(Relay, EmptyWalletIsRefusedWithoutRetry) {
  ScriptedUpstream upstream([](Socket&, int) {});
  TestNode node({.upstream_port = upstream.port(), .balance = 10});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk));
  const std::string answer = client.receive_message();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 429 ")) << answer;
  EXPECT_NE(answer.find("x-should-retry: false"), std::string::npos) << answer;
  EXPECT_NE(answer.find("insufficient_quota"), std::string::npos) << answer;
  node.stop();
  EXPECT_EQ(upstream.connections(), 0);
  EXPECT_EQ(node.wallet().available, 10);
}

TEST(Relay, UpstreamErrorOfTheCallerIsPassedOnAndCostsNothing) {
  constexpr std::string_view kBody =
      R"({"error":{"message":"no such tool","type":"invalid_request_error"}})";
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(
        with_length("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n", kBody));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk));
  const std::string answer = client.receive_message();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_TRUE(answer.ends_with(kBody)) << answer;
  client.close();
  node.stop();
  EXPECT_EQ(node.wallet().available, 10 * kNanosPerUsd);
}

TEST(Relay, ProvidersKeyTroubleIsNeverShownAsTheCallers) {
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(with_length("HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n",
                            R"({"error":{"message":"bad key org-123"}})"));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk));
  const std::string answer = client.receive_message();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 50")) << answer;
  EXPECT_EQ(answer.find("org-123"), std::string::npos);
  client.close();
  node.stop();
  EXPECT_EQ(node.wallet().available, 10 * kNanosPerUsd);
}

TEST(Relay, ClientThatLeavesMidStreamFreesTheUpstreamAndPaysWhatWasCounted) {
  std::atomic<bool> freed{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(kStreamHead);
    client.send(chunk(delta("one two three four")));
    freed = client.peer_ended(1000);
  });
  TestNode node({.upstream_port = upstream.port()});
  {
    Socket client = Socket::connect_to(node.port());
    client.send(chat_request(kAskStream));
    client.receive(200);
  }
  for (int i = 0; i < 100 && !freed; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(freed);
  node.stop();
  const state::OutboxRecord& record = node.only_record();
  EXPECT_EQ(record.end, price::End::client_left);
  EXPECT_GT(record.charged, 0);
  EXPECT_NE(record.flags & price::kChargeEstimated, 0U);
}

TEST(Relay, BrokenStreamIsNeverShownAsACleanEnd) {
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(kStreamHead);
    client.send(chunk(delta("one two")));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream));
  const std::string answer = client.receive_all();
  EXPECT_NE(answer.find("one two"), std::string::npos);
  EXPECT_NE(answer.find("\"error\""), std::string::npos) << answer;
  EXPECT_FALSE(answer.ends_with("0\r\n\r\n"));
  EXPECT_EQ(answer.find("[DONE]"), std::string::npos);
  node.stop();
  EXPECT_EQ(node.only_record().end, price::End::upstream_broke);
  EXPECT_NE(node.only_record().flags & price::kChargePartial, 0U);
}

TEST(Relay, FailsOverToTheNextChannelBeforeAnythingWasDelivered) {
  ScriptedUpstream broken([](Socket& client, int) { client.receive_message(); });
  ScriptedUpstream good([](Socket& client, int) {
    client.receive_message();
    client.send(with_length(kJsonHead, kAnswer));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = broken.port(), .more_upstreams = {good.port()}});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAsk));
  EXPECT_TRUE(client.receive_message().ends_with(kAnswer));
  client.close();
  node.stop();
  EXPECT_EQ(node.only_record().attempts, 2);
  EXPECT_EQ(node.only_record().channel_id, 2U);
  EXPECT_EQ(node.only_record().charged, kCost);
}

TEST(Relay, KeepsBothConnectionsForTheNextRequest) {
  ScriptedUpstream upstream([](Socket& client, int) {
    for (int i = 0; i < 3; ++i) {
      client.receive_message();
      client.send(with_length(kJsonHead, kAnswer));
    }
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  for (int i = 0; i < 3; ++i) {
    client.send(chat_request(kAsk));
    EXPECT_TRUE(client.receive_message().ends_with(kAnswer));
  }
  client.close();
  node.stop();
  EXPECT_EQ(upstream.connections(), 1);
  EXPECT_EQ(node.left().outbox.size(), 3U);
  EXPECT_EQ(node.wallet().available, 10 * kNanosPerUsd - 3 * kCost);
}

TEST(Relay, StreamThatOutrunsTheWalletIsCutWithTheFormatsOwnError) {
  std::atomic<bool> freed{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(kStreamHead);
    for (int i = 0; i < 2000 && !client.peer_ended(0); ++i) {
      client.send(chunk(delta("word word word word word word word word")));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    freed = client.peer_ended(1000);
  });
  // One slice of 1,024 output tokens costs 2,048,000 nanos: the wallet pays the first and not much
  // of a second.
  TestNode node({.upstream_port = upstream.port(), .balance = 2'300'000});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream));
  const std::string answer = client.receive_all();
  EXPECT_NE(answer.find("insufficient_quota"), std::string::npos)
      << answer.substr(answer.size() - 300);
  EXPECT_FALSE(answer.ends_with("0\r\n\r\n"));
  node.stop();
  EXPECT_TRUE(freed);
  EXPECT_EQ(node.only_record().end, price::End::cut);
  EXPECT_GT(node.wallet().charged, 2'000'000);
  EXPECT_GE(node.wallet().available, -2'048'000);  // overdraft of at most one slice
}

// One slice of output costs 2,048,000 nanos: two of them fit into the budget of a day, and there is
// another day.
TEST(Relay, AStreamThatGoesOnAfterMidnightIsPaidByTheNewDaysBudget) {
  for (const bool next_day : {false, true}) {
    Gate midnight;
    ScriptedUpstream upstream([&](Socket& client, int) {
      client.receive_message();
      const auto send_words = [&](int events) {
        for (int i = 0; i < events && !client.peer_ended(0); ++i) {
          client.send(chunk(delta("word word word word word word word word")));
        }
      };
      client.send(kStreamHead);
      send_words(150);
      midnight.wait();
      for (int i = 0; i < 20; ++i) {
        send_words(20);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      client.send(chunk(kFinish) + chunk(kUsage) + chunk(kDone) + "0\r\n\r\n");
      client.peer_ended(5000);
    });
    NodePlan plan{.upstream_port = upstream.port()};
    plan.limits.budget_day = 5'000'000;
    plan.settings.between_tokens_ns = plan.settings.total_ns = 100 * 3600 * kSecond;
    TestNode node(plan);
    Socket client = Socket::connect_to(node.port());
    client.send(chat_request(kAskStream));
    client.receive(10'000);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (next_day) node.skip(24 * 3600 * kSecond);
    midnight.open();
    const std::string answer = client.receive_until("[DONE]");
    EXPECT_EQ(answer.ends_with("[DONE]"), next_day) << answer.substr(answer.size() - 200);
    client.close();
    node.stop();
    EXPECT_EQ(node.only_record().end, next_day ? price::End::finished : price::End::cut);
  }
}

TEST(Relay, MalformedRequestsAreRefusedOnceAndClosed) {
  ScriptedUpstream upstream([](Socket&, int) {});
  TestNode node({.upstream_port = upstream.port()});
  struct Case {
    std::string request;
    std::string_view status;
  };
  const Case cases[] = {
      {"GARBAGE\r\n\r\n", "400"},
      {"GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404"},
      {"GET /v1/chat/completions HTTP/1.1\r\nHost: a\r\n\r\n", "405"},
      {chat_request("{\"model\":"), "400"},
      {chat_request("{\"messages\":[]}"), "400"},
      {chat_request(R"({"model":"other","messages":[]})"), "404"},
      {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", "414"},
      {"GET /v1/models HTTP/1.1\r\nHost: a\r\nX: " + std::string(20000, 'a') + "\r\n\r\n", "431"},
      {"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", "413"},
  };
  for (const Case& c : cases) {
    Socket client = Socket::connect_to(node.port());
    client.send(c.request);
    const std::string answer = client.receive_message();
    EXPECT_EQ(answer.substr(9, 3), c.status) << c.request.substr(0, 60);
    EXPECT_NE(answer.find("\"error\""), std::string::npos) << answer;
  }
  node.stop();
  EXPECT_TRUE(node.left().outbox.empty());
}

TEST(Relay, ModelsAreListedForTheKey) {
  ScriptedUpstream upstream([](Socket&, int) {});
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send("GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-test\r\n\r\n");
  const std::string answer = client.receive_message();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_NE(answer.find("\"id\":\"m\""), std::string::npos) << answer;
  EXPECT_EQ(answer.find("ratelimit"), std::string::npos) << "there is no limit";
}

TEST(Relay, WhatIsFreeTakesARequestAMinuteAndNoToken) {
  ScriptedUpstream upstream([](Socket& client, int) {
    while (!client.receive_message().empty())
      client.send(with_length(kJsonHead, R"({"input_tokens":7})"));
  });
  NodePlan plan{.upstream_port = upstream.port(), .balance = 0};
  plan.limits = {.requests_per_minute = 3, .tokens_per_minute = 100};
  plan.upstream_format = static_cast<std::uint8_t>(dialect::Format::claude);
  TestNode node(plan);
  Socket client = Socket::connect_to(node.port());
  const std::string head = " HTTP/1.1\r\nHost: a\r\nx-api-key: sk-test\r\n";
  client.send("GET /v1/models" + head + "anthropic-version: 2023-06-01\r\n\r\n");
  const std::string listed = client.receive_message();
  EXPECT_TRUE(listed.starts_with("HTTP/1.1 200 ")) << listed;
  EXPECT_NE(listed.find("anthropic-ratelimit-requests-remaining: 2\r\n"), std::string::npos);
  const std::string_view body = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
  const std::string count = "POST /v1/messages/count_tokens" + head +
                            "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                            std::string(body);
  client.send(count);
  const std::string counted = client.receive_message();
  EXPECT_TRUE(counted.starts_with("HTTP/1.1 200 ")) << counted;
  EXPECT_NE(counted.find("anthropic-ratelimit-requests-remaining: 1\r\n"), std::string::npos);
  EXPECT_NE(counted.find("anthropic-ratelimit-tokens-remaining: 100\r\n"), std::string::npos);
  client.send("GET /v1/models/m" + head + "\r\n");
  EXPECT_TRUE(client.receive_message().starts_with("HTTP/1.1 200 "));
  client.send(count);
  const std::string refused = client.receive_message();
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 429 ")) << refused;
  EXPECT_NE(refused.find("retry-after: 20\r\n"), std::string::npos) << refused;
  EXPECT_NE(refused.find("rate_limit_error"), std::string::npos);
  client.close();
  node.stop();
  EXPECT_EQ(upstream.connections(), 1);
  EXPECT_TRUE(node.left().outbox.empty());
}

}  // namespace
}  // namespace sluice::test
