// Much, and slowly: what a stream holds in memory when one side is far ahead of the other. S12 to
// S15 of the list in tests/README.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "allocated.hpp"
#include "scripted_upstream.hpp"
#include "stream_formats.hpp"

namespace sluice::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(MuchAndSlowly, ALineOf16MiBIsRelayedInBoundedMemory) {  // S12
  constexpr std::size_t kBlock = 64 * 1024;
  constexpr std::size_t kBlocks = 256;
  const std::string block(kBlock, 'A');
  const std::string begin = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
  const std::string end = "\"}}]}\n\n" + stream_formats()[0].ending;
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(begin));
    const std::string framed = chunk(block);
    for (std::size_t i = 0; i < kBlocks; ++i) client.send(framed);
    client.send(chunk(end) + std::string(kLastChunk));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port(), .balance = 1000 * kNanosPerUsd});
  Socket client = Socket::connect_to(node.port());
  client.send(stream_formats()[0].request);
  std::string tail = client.receive_until("AAAA");
  std::size_t as = 4;
  const std::size_t before = allocated_bytes();
  std::size_t most = before;
  while (!tail.ends_with(kLastChunk)) {
    const std::string got = client.receive(1);
    if (got.empty()) break;
    const std::string more = got + client.received();
    as += static_cast<std::size_t>(std::count(more.begin(), more.end(), 'A'));
    tail =
        (tail + more).substr(tail.size() + more.size() > 200 ? tail.size() + more.size() - 200 : 0);
    most = std::max(most, allocated_bytes());
  }
  EXPECT_GE(as, kBlock * kBlocks);
  EXPECT_TRUE(tail.ends_with(kLastChunk)) << tail;
  EXPECT_LT(most - before, 4 * kMiB);
  node.stop();
  EXPECT_EQ(node.only_record().end, price::End::finished);
}

TEST(MuchAndSlowly, AFloodOfEmptyEventsIsRelayedAndIsNoProgress) {  // S13
  const StreamFormat& chat = stream_formats()[0];
  std::string flood;
  for (int i = 0; i < 50'000; ++i) flood += i % 3 == 0 ? "\n" : i % 3 == 1 ? "data\n\n" : ":\n";
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead) + chunk(chat.content));
    for (std::size_t at = 0; at < flood.size(); at += 997) {
      client.send(chunk(std::string_view(flood).substr(at, 997)));
    }
    client.send(chunk(chat.ending) + std::string(kLastChunk));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat.request);
  EXPECT_TRUE(payload_of(client.receive_all()) == chat.content + flood + chat.ending);
  node.stop();
  EXPECT_EQ(node.only_record().charged, kCost);
}

// Provider and client wait for each other after every event: a wake-up that is lost stops both.
TEST(MuchAndSlowly, AThousandTimesStopAndGo) {  // S15
  const StreamFormat& chat = stream_formats()[0];
  std::atomic<int> received{0};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(kStreamHead);
    for (int i = 0; i < 1000; ++i) {
      client.send(chunk(chat.content));
      for (int waited = 0; received <= i && waited < 50'000; ++waited) {
        std::this_thread::sleep_for(microseconds(100));
      }
    }
    client.send(chunk(chat.ending) + std::string(kLastChunk));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat.request);
  client.receive_until("\r\n\r\n");
  for (; received < 1000; ++received) {
    ASSERT_EQ(client.receive_until("\n\n\r\n"), chunk(chat.content)) << received;
  }
  EXPECT_EQ(client.receive_all(), chunk(chat.ending) + std::string(kLastChunk));
  node.stop();
}

// The client stops until everything on the way to it is full, then reads all of it: again and
// again, and no byte is lost.
TEST(MuchAndSlowly, AReaderThatStopsAndGoesStopsTheProvider) {  // S14, S15
  const StreamFormat& chat = stream_formats()[0];
  constexpr std::size_t kStops = 8;
  constexpr std::size_t kMost = 64 * kMiB;
  std::atomic<std::size_t> sent{0};
  std::atomic<bool> enough{false};
  ScriptedUpstream upstream([&](Socket& client, int) {
    client.receive_message();
    client.send(std::string(kStreamHead));
    const std::string framed = chunk(": " + std::string(16'000, '.') + "\n\n");
    client.send(chunk(chat.content));
    for (; !enough && sent < kMost; sent += framed.size()) client.send(framed);
    client.send(chunk(chat.ending) + std::string(kLastChunk));
    client.peer_ended(5000);
  });
  TestNode node({.upstream_port = upstream.port()});
  Socket client = Socket::connect_to(node.port());
  client.send(chat.request);
  std::size_t got = client.receive_until(chat.content).size();
  const std::size_t before = allocated_bytes();
  for (std::size_t stop = 0; stop < kStops; ++stop) {
    std::size_t was = sent + 1;
    while (was != sent) {  // until the provider cannot send any more
      was = sent;
      std::this_thread::sleep_for(milliseconds(30));
    }
    // The reader's own buffer is up to 128 KiB of it.
    EXPECT_LT(allocated_bytes() - before, 192 * kKiB) << "while it waits";
    ASSERT_LT(sent, kMost) << "nothing stopped it";
    const std::size_t wanted = got + 2 * kMiB;
    while (got < wanted) got += client.receive(64 * 1024).size();
  }
  enough = true;
  std::string tail;
  for (std::string more = client.receive(64 * 1024); !more.empty();
       more = client.receive(64 * 1024)) {
    got += more.size();
    tail = more;
    if (tail.ends_with(kLastChunk)) break;
  }
  EXPECT_TRUE(tail.ends_with(kLastChunk));
  EXPECT_GT(got, sent / 100 * 99);
  node.stop();
  EXPECT_EQ(node.only_record().charged, kCost);
}

}  // namespace
}  // namespace sluice::test
