// What an engine must refuse: certificates (U20), protocol versions (U21), and bytes that are no
// TLS (U17).
#include <gtest/gtest.h>

#include <random>

#include "engine_probe.hpp"
#include "link.hpp"

namespace sluice::tls {
namespace {

/// Why the client refuses the server's certificate; empty when it accepts it.
std::string refusal(const std::string& certificate, const std::string& host = "good.test",
                    const std::string& ca = "ca") {
  const ServerContext server = server_context(certificate);
  const ClientContext client = client_context(ca);
  Link link(server, client, host);
  link.run();
  if (link.open()) return {};
  EXPECT_EQ(link.client.engine.state(), State::failed);
  EXPECT_NE(link.client.engine.failure_code(), 0);
  // The server learns of it by an alert, and nothing it sends afterwards is plaintext to anybody.
  EXPECT_EQ(link.server.engine.state(), State::failed) << certificate;
  EXPECT_TRUE(link.client.text.empty());
  const auto again = link.client.engine.receive(std::span<const char>("x", 1), {}, link.client.out);
  EXPECT_FALSE(again.has_value());
  return std::string(link.client.engine.failure());
}

TEST(Certificate, IsAcceptedForItsNames) {
  EXPECT_EQ(refusal("good"), "");
  EXPECT_EQ(refusal("good", "GOOD.test"), "");
  EXPECT_EQ(refusal("good", "good.test."), "");
  EXPECT_EQ(refusal("good", "127.0.0.1"), "");
  EXPECT_EQ(refusal("good", "::1"), "");
  EXPECT_EQ(refusal("good", "0:0::0:1"), "");
  EXPECT_EQ(refusal("good", "a.wild.test"), "");
  EXPECT_EQ(refusal("rsa"), "");
  EXPECT_EQ(refusal("by-intermediate"), "");
}

TEST(Certificate, IsRefusedForAnotherName) {
  const std::string other_name = "certificate is for another name";
  for (const char* host :
       {"evil.test", "good.test.evil.test", "ood.test", "xgood.test", "127.0.0.2", "::2",
        "wild.test", "a.b.wild.test", "127.0.0.1.good.test"}) {
    EXPECT_EQ(refusal("good", host), other_name) << host;
  }
  // A name that goes on behind a NUL is not the name before it.
  EXPECT_NE(refusal("nul-name"), "");
}

TEST(Certificate, IsRefusedWithoutATrustedChain) {
  EXPECT_EQ(refusal("good", "good.test", "other-ca"),
            "certificate is not signed by a trusted authority");
  EXPECT_NE(refusal("self-signed"), "");
  EXPECT_NE(refusal("by-leaf"), "");
}

TEST(Certificate, IsRefusedOutsideItsTime) {
  EXPECT_EQ(refusal("expired"), "certificate has expired");
  EXPECT_EQ(refusal("future"), "certificate is not valid yet");
}

TEST(Certificate, IsRefusedForACommonNameOnly) {
  const std::string common_name = "certificate names no host but by its common name";
  EXPECT_EQ(refusal("cn-only"), common_name);
  EXPECT_EQ(refusal("mail-only"), common_name);
}

TEST(Certificate, IsRefusedWhenWeak) {
  const std::string weak = "certificate is signed with SHA-1 or MD5";
  EXPECT_EQ(refusal("sha1"), weak);
  EXPECT_EQ(refusal("by-sha1"), weak);
  // A root that is sent along may be signed with anything.
  EXPECT_EQ(refusal("by-sha1-root", "good.test", "sha1-root"), "");
  EXPECT_FALSE(ServerContext::load(Certificates::get().path("small-rsa.pem"),
                                   Certificates::get().path("small-rsa.key")));
}

TEST(Hostile, PlaintextIsNoHandshake) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  for (const std::string& bytes :
       {std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), std::string(100, '\0')}) {
    Link link(server, client);
    link.client.step(0, 0);
    for (Side* side : {&link.client, &link.server}) {
      side->arrived = bytes;
      side->step(SIZE_MAX, 4096);
      EXPECT_EQ(side->engine.state(), State::failed);
      EXPECT_FALSE(side->engine.failure().empty());
      EXPECT_TRUE(side->text.empty());
    }
  }
}

TEST(Hostile, ChangedRecordEndsTheConnection) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  Link link(server, client);
  link.run();
  ASSERT_TRUE(link.server.engine.send({"hello", 5}, link.server.out).has_value());
  link.carry();
  link.client.arrived.back() = static_cast<char>(link.client.arrived.back() ^ 1);
  link.client.step(SIZE_MAX, 4096);
  EXPECT_EQ(link.client.engine.state(), State::failed);
  EXPECT_TRUE(link.client.text.empty());
  EXPECT_FALSE(link.client.engine.send({"x", 1}, link.client.out).has_value());
}

TEST(Hostile, NoiseNeverCrashesNorOpens) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  std::mt19937 random(7);
  Link measured(server, client);
  measured.client.step(0, 0);
  const std::string hello(measured.client.out.pending().data(), measured.client.out.used);
  for (int round = 0; round < 500; ++round) {
    Link link(server, client);
    std::string bytes = hello;
    for (int change = 0; change < 1 + round % 4; ++change) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    link.server.arrived = bytes;
    for (int step = 0; step < 4; ++step) link.server.step(SIZE_MAX, 64);
    EXPECT_NE(link.server.engine.state(), State::open);
    EXPECT_TRUE(link.server.text.empty());
  }
}

TEST(Hostile, KeyUpdatesAreAnsweredButNotWithoutEnd) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  Link link(server, client);
  link.run();
  const auto update = [&] {
    EngineProbe::ask_for_key_update(link.client.engine, link.client.out);
    // The answer is never read by the client, whose next request is made with keys of its own.
    link.server.arrived.append(link.client.out.pending().data(), link.client.out.used);
    link.client.out.used = 0;
    link.server.step(SIZE_MAX, 64);
    link.carry();
  };
  int answered = 0;
  for (; link.server.engine.state() == State::open && answered < 10'000; ++answered) update();
  EXPECT_EQ(link.server.engine.failure(), "peer asks for key updates without end");
  // wolfSSL's client asks for an answer with every other update only.
  EXPECT_GT(answered, 600);
  EXPECT_LT(answered, 1400);

  // What comes with plaintext is no flood.
  Link busy(server, client);
  busy.run();
  for (int i = 0; i < 2000; ++i) {
    EngineProbe::ask_for_key_update(busy.client.engine, busy.client.out);
    ASSERT_TRUE(send_all(busy, busy.client, std::string(100, 'x')));
  }
  EXPECT_TRUE(busy.open()) << busy.server.engine.failure();
  EXPECT_EQ(busy.server.text.size(), 200'000U);
}

TEST(Hostile, EveryByteOfAClientHelloTwice) {
  const ServerContext server = server_context("good");
  const ClientContext client = client_context();
  Link link(server, client);
  link.client.step(0, 0);
  link.carry();
  link.server.arrived += link.server.arrived;
  for (int step = 0; step < 4; ++step) link.server.step(1 << 20, 64);
  EXPECT_EQ(link.server.engine.state(), State::failed);
}

}  // namespace
}  // namespace sluice::tls
