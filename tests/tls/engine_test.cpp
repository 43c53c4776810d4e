#include "sluice/tls/engine.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "link.hpp"

namespace sluice::tls {
namespace {

TEST(Engine, HandshakesAndCarriesBothWays) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  Link link(server, client);
  link.run();
  ASSERT_TRUE(link.open()) << link.client.engine.failure() << " / " << link.server.engine.failure();
  EXPECT_EQ(link.client.engine.version(), "TLSv1.3");
  EXPECT_EQ(link.client.engine.cipher(), "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(link.client.engine.alpn(), "http/1.1");
  EXPECT_EQ(link.server.engine.alpn(), "http/1.1");
  EXPECT_TRUE(link.client.engine.failure().empty());
  EXPECT_TRUE(send_all(link, link.client, "ping"));
  EXPECT_TRUE(send_all(link, link.server, "pong"));
  EXPECT_EQ(link.server.text, "ping");
  EXPECT_EQ(link.client.text, "pong");
}

TEST(Engine, DoesNotCareHowTheBytesAreCut) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  std::string big(40'000, 'x');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>('a' + i % 26);
  for (const std::size_t piece : {1UL, 2UL, 3UL, 5UL, 16UL, 17UL, 100UL, 1000UL, 16384UL}) {
    Link link(server, client);
    link.run(piece);
    ASSERT_TRUE(link.open()) << piece << ": " << link.client.engine.failure();
    ASSERT_TRUE(send_all(link, link.server, big, piece));
    EXPECT_EQ(link.client.text, big) << piece;
  }
}

TEST(Engine, DoesNotCareWhereTheHandshakeIsCutOnce) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  Link measured(server, client);
  measured.run();
  const std::size_t total = measured.carried;
  // One cut at each place of the whole exchange of both directions.
  for (std::size_t cut = 1; cut < total; cut += 3) {
    Link link(server, client);
    std::size_t left = cut;
    for (int round = 0; round < 20; ++round) {
      for (Side* side : {&link.client, &link.server}) {
        const std::size_t arrived = side->arrived.size();
        if (left > 0 && left < arrived) {
          side->step(left, 4096);
          left = 0;
        } else if (left > 0) {
          left -= arrived;
        }
        side->step(SIZE_MAX, 4096);
      }
      link.carry();
    }
    ASSERT_TRUE(link.open()) << "cut at " << cut;
  }
}

TEST(Engine, MakesDoWithATinyOutbox) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  for (const std::size_t room : {1UL, 7UL, 100UL, 300UL}) {
    Link link(server, client, "good.test", room);
    link.run(SIZE_MAX, 1);
    ASSERT_TRUE(link.open()) << room;
    // Below the overhead of a record nothing is taken; above it, as much as fits.
    const auto sent = link.client.engine.send(std::string(500, 'x'), link.client.out);
    ASSERT_TRUE(sent.has_value());
    EXPECT_EQ(*sent, room > kRecordOverhead ? room - kRecordOverhead : 0) << room;
    link.run(SIZE_MAX, 1);
    EXPECT_EQ(link.server.text, std::string(*sent, 'x'));
  }
}

TEST(Engine, PutsSeveralRecordsIntoOneOutbox) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  Link link(server, client);
  link.run();
  for (const char* event : {"one ", "two ", "three"}) {
    ASSERT_TRUE(link.server.engine.send({event, std::strlen(event)}, link.server.out).has_value());
  }
  EXPECT_LE(link.server.out.used, 13 + 3 * 22U);
  link.run();
  EXPECT_EQ(link.client.text, "one two three");
  // A large text becomes records of 16 KiB at most, each within its overhead.
  const std::string big(40'000, 'y');
  const auto sent = link.server.engine.send(big, link.server.out);
  ASSERT_TRUE(sent.has_value());
  EXPECT_EQ(*sent, big.size());
  EXPECT_LE(link.server.out.used, big.size() + 3 * kRecordOverhead);
}

TEST(Engine, SaysWhenPlaintextWaitsForRoom) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  Link link(server, client);
  link.run();
  ASSERT_TRUE(link.client.engine.send(std::string(100, 'x'), link.client.out).has_value());
  link.carry();
  std::vector<char> room(10);
  const auto first = link.server.engine.receive(link.server.arrived, room, link.server.out);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->plaintext_bytes, 10U);
  EXPECT_EQ(first->consumed_bytes, link.server.arrived.size());
  EXPECT_TRUE(link.server.engine.has_more());
  std::vector<char> rest(200);
  const auto second = link.server.engine.receive({}, rest, link.server.out);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->plaintext_bytes, 90U);
  EXPECT_FALSE(link.server.engine.has_more());
}

TEST(Engine, TellsAnOrderlyEndFromATruncation) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  {
    Link link(server, client);
    link.run();
    ASSERT_TRUE(send_all(link, link.server, "all of it"));
    link.server.engine.close(link.server.out);
    link.run();
    EXPECT_EQ(link.client.engine.state(), State::peer_closed);
    EXPECT_TRUE(link.client.engine.end_of_stream().has_value());
    EXPECT_EQ(link.client.text, "all of it");
    const auto after = link.server.engine.send({"x", 1}, link.server.out);
    ASSERT_FALSE(after.has_value());
    EXPECT_EQ(after.error().code, Errc::closed);
  }
  {
    Link link(server, client);
    link.run();
    ASSERT_TRUE(send_all(link, link.server, "part"));
    const auto end = link.client.engine.end_of_stream();
    ASSERT_FALSE(end.has_value());
    EXPECT_EQ(end.error().code, Errc::truncated);
    EXPECT_EQ(end.error().source, Source::upstream);
  }
  {
    Link link(server, client);
    const auto end = link.server.engine.end_of_stream();
    ASSERT_FALSE(end.has_value());
    EXPECT_EQ(end.error().code, Errc::tls_failed);
    EXPECT_EQ(end.error().source, Source::client);
    EXPECT_EQ(link.server.engine.failure(), "peer closed the connection during the handshake");
  }
}

TEST(Engine, MaySendAfterThePeerHasClosedItsHalf) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  Link link(server, client);
  link.run();
  link.client.engine.close(link.client.out);
  link.client.engine.close(link.client.out);  // once is enough
  link.run();
  EXPECT_EQ(link.server.engine.state(), State::peer_closed);
  EXPECT_TRUE(send_all(link, link.server, "the rest"));
  link.server.engine.close(link.server.out);
  link.run();
  EXPECT_EQ(link.client.text, "the rest");
  EXPECT_EQ(link.client.engine.state(), State::peer_closed);
}

TEST(Engine, MayBeMovedBetweenCalls) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  Link link(server, client);
  link.client.step(SIZE_MAX, 0);
  link.carry();
  Engine moved = std::move(link.client.engine);
  link.client.engine = std::move(moved);
  link.run();
  EXPECT_TRUE(link.open());
}

TEST(Engine, OutlivesItsContext) {
  auto server = std::make_unique<ServerContext>(server_context("good"));
  auto client = std::make_unique<ClientContext>(client_context());
  Link link(*server, *client);
  server.reset();
  client.reset();
  link.run();
  ASSERT_TRUE(link.open());
  EXPECT_TRUE(send_all(link, link.client, "still here"));
  EXPECT_EQ(link.server.text, "still here");
}

TEST(Engine, RefusesImpossibleHosts) {
  const ClientContext client = client_context();
  for (const std::string& host :
       {std::string(), std::string(254, 'a'), std::string("a\0b", 3), std::string("."),
        std::string(".a.test"), std::string("a..test"), std::string("*.a.test"), std::string("a b"),
        std::string("[::1]"), std::string("a:443")}) {
    const auto engine = Engine::client(client, host);
    ASSERT_FALSE(engine.has_value());
    EXPECT_EQ(engine.error().code, Errc::bad_value);
  }
}

TEST(Context, SaysWhatIsWrongWithAFile) {
  const Certificates& certificates = Certificates::get();
  const std::string good = certificates.path("good.pem");
  const std::string key = certificates.path("good.key");
  const auto error = [](const auto& context) {
    return context ? std::string("none") : context.error();
  };
  EXPECT_EQ(error(ServerContext::load(good, key)), "none");
  EXPECT_EQ(error(ServerContext::load("/nowhere.pem", key)),
            "certificate /nowhere.pem: No such file or directory");
  EXPECT_EQ(error(ServerContext::load(good, "/nowhere.key")),
            "key /nowhere.key: No such file or directory");
  EXPECT_EQ(error(ServerContext::load("", key)), "certificate: no file is named");
  EXPECT_NE(error(ServerContext::load(key, key)).find("not a PEM certificate chain"),
            std::string::npos);
  EXPECT_NE(error(ServerContext::load(good, good)).find("not a PEM private key"),
            std::string::npos);
  EXPECT_NE(error(ServerContext::load(good, certificates.path("rsa.key"))).find("good.pem"),
            std::string::npos);
  EXPECT_NE(
      error(ServerContext::load(good, certificates.path("ca.key"))).find("does not belong to"),
      std::string::npos);
  EXPECT_EQ(error(ClientContext::load("/nowhere.pem")),
            "CA bundle /nowhere.pem: No such file or directory");
  EXPECT_NE(error(ClientContext::load(key)).find("holds no usable PEM certificate"),
            std::string::npos);
  EXPECT_EQ(error(ClientContext::load("/nowhere.pem")).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace sluice::tls
