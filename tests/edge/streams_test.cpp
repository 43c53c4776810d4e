// Streams that end, stall, break or come in pieces: what reaches the client, what it pays. The
// numbers S01 to S26 are those of the list in tests/README.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "scripted_upstream.hpp"
#include "stream_formats.hpp"

namespace sluice::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

INSTANTIATE_TEST_SUITE_P(Streams, EachFormat, ::testing::ValuesIn(stream_formats()),
                         [](const auto& tested) { return tested.param.name; });

// The shard has looked at its clock again.
void let_it_notice() { std::this_thread::sleep_for(milliseconds(60)); }

// ---- S03, S04: silence

TEST_P(EachFormat, TenMinutesOfSilenceAreBridgedBetweenEvents) {  // S04
  const StreamFormat& format = GetParam();
  const std::string half = format.content.substr(0, format.content.size() / 2);
  const std::string rest = format.content.substr(half.size());
  Gate first_part;
  Gate second_part;
  Gate third_part;
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(format.opening + format.content));
    first_part.wait();
    client.send(chunk(half));
    second_part.wait();
    client.send(chunk(rest));
    third_part.wait();
    client.send(chunk(format.ending) + std::string(kLastChunk));
    client.peer_ended(5000);
  });
  TestNode node(plan(upstream));
  Socket client = Socket::connect_to(node.port());
  client.send(format.request);
  std::string answer = client.receive_until(format.content + "\r\n");
  EXPECT_TRUE(answer.ends_with(format.content + "\r\n"));
  int pings = 0;
  for (int seconds = 15; seconds < 600; seconds += 15) {
    // The shard notes when its ping was out a moment after it has come here.
    std::this_thread::sleep_for(milliseconds(10));
    node.skip(15 * kSecond);
    const std::string ping = client.receive_until(format.ping + "\r\n", 500);
    if (ping.empty()) continue;
    ++pings;
    ASSERT_EQ(ping, chunk(format.ping)) << "after " << seconds << " s";
  }
  EXPECT_GE(pings, 36);
  first_part.open();
  EXPECT_EQ(client.receive_until(half + "\r\n"), chunk(half));
  for (int i = 0; i < 3; ++i) {
    node.skip(15 * kSecond);
    let_it_notice();
  }
  second_part.open();
  EXPECT_EQ(client.receive_until(rest + "\r\n"), chunk(rest)) << "nothing inside an event";
  third_part.open();
  EXPECT_EQ(client.receive_all(), chunk(format.ending) + std::string(kLastChunk));
  node.stop();
  EXPECT_EQ(node.only_record().end, price::End::finished);
  EXPECT_EQ(node.only_record().charged, kCost);
}

TEST_P(EachFormat, ASilenceBeyondItsLimitEndsWithTheFormatsOwnError) {  // S03
  const StreamFormat& format = GetParam();
  std::atomic<bool> freed{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(format.opening + format.content));
    freed = client.peer_ended(5000);
  });
  TestNode node(plan(upstream));
  Socket client = Socket::connect_to(node.port());
  client.send(format.request);
  client.receive_until(format.content + "\r\n");
  node.skip(601 * kSecond);
  const std::string answer = client.receive_all();
  EXPECT_NE(answer.find(format.error_mark), std::string::npos) << answer;
  EXPECT_FALSE(answer.ends_with(kLastChunk)) << answer;
  node.stop();
  EXPECT_TRUE(freed);
  EXPECT_EQ(node.only_record().end, price::End::upstream_broke);
  EXPECT_GT(node.only_record().charged, 0);
  EXPECT_LT(node.only_record().charged, kCost);
}

TEST(Silence, NoAnswerInTimeIs504AndCostsNothing) {  // S03
  for (const bool stream : {true, false}) {
    std::atomic<int> asked{0};
    ScriptedUpstream upstream([&](Socket& client, int) {
      client.receive_message();
      ++asked;
      client.peer_ended(5000);
    });
    TestNode node({.upstream_port = upstream.port()});
    Socket client = Socket::connect_to(node.port());
    client.send(chat_request(stream ? kAskStream : kAsk));
    while (asked == 0) std::this_thread::sleep_for(milliseconds(1));
    if (!stream) {
      node.skip(599 * kSecond);
      EXPECT_FALSE(client.peer_ended(60));
      node.skip(2 * kSecond);
    } else {
      node.skip(121 * kSecond);
    }
    const std::string answer = client.receive_message();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 504 ")) << answer;
    client.close();
    node.stop();
    EXPECT_EQ(node.wallet().charged, 0);
  }
}

// A comment of the provider says that it lives, not that anything has been said.
TEST(Silence, CommentsDoNotPutOffTheFirstEvent) {  // S03
  Gate asked;
  std::atomic<bool> ended{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(kStreamHead);
    asked.open();
    while (!ended && !client.peer_ended(20)) client.send(chunk(": alive\n\n"));
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream));
  asked.wait();
  client.receive_until(": alive");
  node.skip(121 * kSecond);
  const std::string answer = client.receive_all();
  EXPECT_NE(answer.find("data: {\"error\":"), std::string::npos) << answer;
  ended = true;
  node.stop();
}

TEST(Silence, CommentsKeepAStreamAliveUpToItsTotalTime) {  // S03
  std::atomic<bool> ended{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(kStreamHead);
    client.send(chunk(delta("one two three")));
    while (!ended && !client.peer_ended(20)) client.send(chunk(": alive\n\n"));
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream));
  client.receive_until(": alive");
  for (int i = 0; i < 6; ++i) {
    node.skip(590 * kSecond);
    const std::string seen = client.receive_until(": alive");
    ASSERT_EQ(seen.find("error"), std::string::npos) << seen;
    let_it_notice();
  }
  node.skip(61 * kSecond);
  const std::string answer = client.receive_all();
  EXPECT_NE(answer.find("longer than is allowed"), std::string::npos) << answer;
  ended = true;
  node.stop();
  EXPECT_EQ(node.only_record().end, price::End::cut);
}

// ---- S05, S06: errors after 200, and ends that are none

TEST_P(EachFormat, AnErrorEventIsPassedOnAndNothingIsAddedToIt) {  // S05
  const StreamFormat& format = GetParam();
  const std::string sent = format.opening + format.content + format.error;
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(sent) + std::string(kLastChunk));
    client.peer_ended(5000);
  });
  TestNode node(plan(upstream));
  Socket client = Socket::connect_to(node.port());
  client.send(format.request);
  EXPECT_EQ(payload_of(client.receive_all()), sent);
  node.stop();
  EXPECT_EQ(node.only_record().end, price::End::upstream_broke);
  EXPECT_NE(node.only_record().flags & price::kChargePartial, 0U);
  EXPECT_GT(node.only_record().charged, 0);
  EXPECT_LT(node.only_record().charged, kCost);
}

struct Truncation {
  const char* how;
  std::string_view head;
  std::string delivered;  ///< the client has seen it when the rest comes
  std::string rest;       ///< before the provider closes
};

TEST_P(EachFormat, ATruncatedStreamIsNeverACleanEnd) {  // S06, S16
  const StreamFormat& format = GetParam();
  const std::string last(kLastChunk);
  const std::string events = format.opening + format.content;
  const std::string half = format.content.substr(0, 30);
  constexpr std::string_view kUntilClose =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
  const Truncation truncations[] = {
      {"between chunks", kStreamHead, chunk(events), ""},
      {"by a last chunk", kStreamHead, chunk(events), last},
      {"by a last chunk, with more behind it", kStreamHead, chunk(events),
       last + chunk(format.ending) + last},
      {"inside a chunk", kStreamHead, chunk(events), chunk(format.content).substr(0, 20)},
      {"inside an event", kStreamHead, chunk(events), chunk(half)},
      {"inside an event, by a last chunk", kStreamHead, chunk(events), chunk(half) + last},
      {"by the end of the connection", kUntilClose, events, ""},
  };
  for (const Truncation& truncation : truncations) {
    SCOPED_TRACE(truncation.how);
    Gate seen;
    ScriptedUpstream upstream([&](Socket& client, int) {
      client.receive_message();
      client.send(std::string(truncation.head) + truncation.delivered);
      seen.wait();
      client.send(truncation.rest);
      std::this_thread::sleep_for(milliseconds(5));
    });
    TestNode node(plan(upstream));
    Socket client = Socket::connect_to(node.port());
    client.send(format.request);
    std::string answer = client.receive_until(format.content);
    seen.open();
    answer += client.receive_all();
    EXPECT_NE(answer.find(format.error_mark), std::string::npos) << answer;
    EXPECT_EQ(answer.find(format.ending), std::string::npos);
    EXPECT_FALSE(answer.ends_with(kLastChunk));
    node.stop();
    EXPECT_EQ(node.only_record().end, price::End::upstream_broke);
    EXPECT_GT(node.only_record().charged, 0);
    EXPECT_LT(node.only_record().charged, kCost);
  }
}

TEST(Truncated, AWholeAnswerThatIsCutIsNeverAClean) {  // S06
  for (const std::string_view framing : {"length", "chunked"}) {
    ScriptedUpstream upstream([&](Socket& client, int) {
      client.receive_message();
      const std::string_view part = kAnswer.substr(0, kAnswer.size() / 2);
      if (framing == "length") {
        const std::string whole = with_length(kJsonHead, kAnswer);
        client.send(whole.substr(0, whole.size() - kAnswer.size() / 2));
      } else {
        client.send(std::string(kJsonHead) + "Transfer-Encoding: chunked\r\n\r\n" + chunk(part));
      }
      std::this_thread::sleep_for(milliseconds(5));
    });
    TestNode node({.upstream_port = upstream.port()});
    Socket client = Socket::connect_to(node.port());
    client.send(chat_request(kAsk, "Connection: close\r\n"));
    const std::string answer = client.receive_all();
    if (answer.starts_with("HTTP/1.1 200 ")) {
      EXPECT_FALSE(answer.ends_with(kLastChunk)) << framing;
      EXPECT_FALSE(answer.ends_with("}")) << framing;
      const std::size_t body_bytes = answer.size() - answer.find("\r\n\r\n") - 4;
      if (framing == "length") EXPECT_LT(body_bytes, kAnswer.size());
    } else {
      EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 ")) << answer;
    }
    node.stop();
  }
}

// ---- S07, S08: pieces and line ends

TEST_P(EachFormat, IsTheSameHoweverItIsCut) {  // S07
  const StreamFormat& format = GetParam();
  const std::string words = "\xe5\xa5\xbd \xf0\x9f\x99\x82 one";
  std::string content = format.content;
  content.replace(content.find("one"), 3, words);
  const std::string sent = format.opening + content + format.ending;
  const std::string raw = std::string(kStreamHead) + chunk(format.opening + content) +
                          chunk(format.ending) + std::string(kLastChunk);
  std::size_t cut = 0;  // the client waits for its answer: one at a time
  ScriptedUpstream upstream([&](Socket& client, int) {
    while (!client.receive_message().empty()) {
      client.send(raw.substr(0, cut));
      std::this_thread::sleep_for(microseconds(300));
      client.send(raw.substr(cut));
    }
  });
  TestNode node(plan(upstream));
  Socket client = Socket::connect_to(node.port());
  std::string request = format.request;
  request.replace(request.find("Connection: close\r\n"), 19, "");
  std::size_t asked = 0;
  for (cut = 1; cut < raw.size(); ++cut, ++asked) {
    client.send(request);
    const std::string payload = payload_of(client.receive_message());
    ASSERT_EQ(payload, sent) << "cut at " << cut;
  }
  client.close();
  node.stop();
  ASSERT_EQ(node.left().outbox.size(), asked);
  for (const auto& row : node.left().outbox) ASSERT_EQ(row.record.charged, kCost);
}

TEST(Pieces, SingleBytesAndOddLineEndsAreRelayedAsTheyAre) {  // S07, S08, S10
  const std::string events =
      "\xef\xbb\xbf: one\r:\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one "
      "two\"}}]}\r\rdata:{\"choices\":[],\r\ndata:\"usage\":{\"prompt_tokens\":100,\ndata: "
      "\"completion_tokens\":50,\"total_tokens\":150}}\r\r\nretry: 1x\rid: a\n\n" +
      std::string(kDone);
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(kStreamHead);
    for (const char byte : events) client.send(chunk({&byte, 1}));
    client.send(kLastChunk);
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(stream_formats()[0].request);
  EXPECT_EQ(payload_of(client.receive_all()), events);
  node.stop();
  EXPECT_EQ(node.only_record().charged, kCost);
}

// ---- S17 to S19: codings, old and impatient clients

TEST(Codings, AStreamThatIsCompressedIsNotRelayed) {  // S17
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
        "Transfer-Encoding: chunked\r\n\r\n" +
        chunk("\x1f\x8b\x08zzzzzz") + std::string(kLastChunk));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(kAskStream));
  const std::string answer = client.receive_message();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 ")) << answer;
  client.close();
  node.stop();
  EXPECT_EQ(node.wallet().charged, 0);
}

TEST(OldClient, Http10GetsAStreamThatEndsWithItsConnection) {  // S18
  const StreamFormat& chat = stream_formats()[0];
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(chat.content) + chunk(chat.ending) +
                std::string(kLastChunk));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  std::string request = chat.request;
  request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
  client.send(request);
  const std::string answer = client.receive_all();
  const std::size_t body = answer.find("\r\n\r\n") + 4;
  EXPECT_EQ(answer.find("ransfer-encoding"), std::string::npos) << answer;
  EXPECT_EQ(answer.substr(body), chat.content + chat.ending);
  node.stop();
  EXPECT_EQ(node.only_record().charged, kCost);
}

TEST(ImpatientClient, ARequestBehindAStreamIsAnsweredAfterIt) {  // S19
  const StreamFormat& chat = stream_formats()[0];
  Gate second_sent;
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(chat.content));
    second_sent.wait();
    std::this_thread::sleep_for(milliseconds(30));
    client.send(chunk(chat.ending) + std::string(kLastChunk));
    client.receive_message();
    client.send(with_length(kJsonHead, kAnswer));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat_request(R"({"model":"m","stream":true,"stream_options":)"
                           R"({"include_usage":true},"messages":[]})"));
  std::string first = client.receive_until(chat.content + "\r\n");
  client.send(chat_request(kAsk));
  second_sent.open();
  first += client.receive_until(kLastChunk);
  EXPECT_EQ(payload_of(first), chat.content + chat.ending);
  EXPECT_TRUE(client.receive_message().ends_with(kAnswer));
  client.close();
  node.stop();
  EXPECT_EQ(node.left().outbox.size(), 2U);
  EXPECT_EQ(node.wallet().charged, 2 * kCost);
}

// ---- S01, S02: clients that go

TEST(ClientGoes, BetweenTheUsageAndTheEndItPaysTheUsage) {  // S01, n - 1 events
  std::atomic<bool> freed{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(delta("one two three")) + chunk(kFinish) +
                chunk(kUsage));
    freed = client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(stream_formats()[0].request);
  client.receive_until(kUsage);
  client.reset();
  for (int i = 0; i < 500 && !freed; ++i) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_TRUE(freed);
  node.stop();
  EXPECT_EQ(node.only_record().end, price::End::client_left);
  EXPECT_EQ(node.only_record().charged, kCost);
}

TEST_P(EachFormat, AProviderThatChargesAbortedStreamsIsReadToTheEnd) {  // S01, policy drain
  const StreamFormat& format = GetParam();
  Gate left;
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(format.opening + format.content));
    left.wait();
    std::this_thread::sleep_for(milliseconds(30));
    for (int i = 0; i < 10; ++i) client.send(chunk(format.content));
    client.send(chunk(format.ending) + std::string(kLastChunk));
    client.peer_ended(5000);
  });
  NodePlan drains = plan(upstream);
  drains.key.on_disconnect = state::OnDisconnect::drain;
  TestNode node(drains);
  Socket client = Socket::connect_to(node.port());
  client.send(format.request);
  client.receive_until(format.content);
  client.reset();
  left.open();
  std::this_thread::sleep_for(milliseconds(100));
  node.stop();
  EXPECT_EQ(node.only_record().end, price::End::client_left);
  EXPECT_EQ(node.only_record().charged, kCost);
}

TEST(ClientGoes, AHalfCloseIsAnEndUnlessItIsTolerated) {  // S02
  const StreamFormat& chat = stream_formats()[0];
  for (const bool tolerated : {false, true}) {
    Gate half_closed;
    std::atomic<bool> freed{false};
    ScriptedUpstream upstream([&](Socket& client, int) {
      client.receive_message();
      client.send(std::string(kStreamHead) + chunk(chat.content));
      half_closed.wait();
      freed = client.peer_ended(tolerated ? 50 : 5000);
      client.send(chunk(chat.ending) + std::string(kLastChunk));
      client.peer_ended(5000);
    });
    NodePlan plan{.upstream_port = upstream.port()};
    plan.settings.clients.tolerate_half_close = tolerated;
    TestNode node(plan);
    Socket client = Socket::connect_to(node.port());
    client.send(chat.request);
    std::string answer = client.receive_until(chat.content + "\r\n");
    client.end_sending();
    half_closed.open();
    answer += client.receive_all();
    EXPECT_EQ(answer.ends_with(kLastChunk), tolerated);
    node.stop();
    EXPECT_EQ(freed, !tolerated);
    EXPECT_EQ(node.only_record().charged == kCost, tolerated);
  }
}

}  // namespace
}  // namespace sluice::test
