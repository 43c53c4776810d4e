// Handshakes with proxies, honest ones and others, cut at every byte.
#include "sluice/net/proxy.hpp"

#include "net_test.hpp"

namespace sluice::net {
namespace {

using std::string_literals::operator""s;

/// One side of a conversation: what the proxy says when, and what is expected in front of it.
struct Turn {
  std::string expected;
  std::string answer;
};

/// Plays it with answers cut into pieces of `step` bytes. The error's text, or "".
std::string play(ProxyHandshake& handshake, const std::vector<Turn>& turns, std::size_t step) {
  for (const Turn& turn : turns) {
    EXPECT_EQ(handshake.outgoing(), turn.expected);
    handshake.sent();
    std::string_view rest = turn.answer;
    while (!rest.empty()) {
      const std::string_view piece = rest.substr(0, step);
      const auto used = handshake.take(piece);
      if (!used) {
        EXPECT_EQ(used.error().code, Errc::proxy_failed);
        EXPECT_EQ(used.error().retry, Retry::yes);
        return std::string(handshake.failure());
      }
      if (*used == 0) return "left " + std::to_string(rest.size());
      rest.remove_prefix(*used);
    }
  }
  return handshake.done() ? "" : "not done";
}

struct Case {
  ProxyProtocol protocol;
  ProxyTarget target;
  std::vector<Turn> turns;
  std::string failure;
};

const std::string kConnect =
    "CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n";

std::vector<Case> cases() {
  const ProxyTarget plain{"api.openai.com", 443, {}};
  const ProxyTarget secret{"api.openai.com", 443, "Aladdin:open sesame"};
  const std::string hello = "\x05\x01\x00"s;
  const std::string request = "\x05\x01\x00\x03\x0e"s + "api.openai.com" + "\x01\xbb"s;
  const auto connect = [&](std::string answer, std::string failure) {
    return Case{ProxyProtocol::connect, plain, {{kConnect, std::move(answer)}}, std::move(failure)};
  };
  const auto socks = [&](std::string method, std::string reply, std::string failure) {
    std::vector<Turn> turns{{hello, std::move(method)}};
    if (!reply.empty()) turns.push_back({request, std::move(reply)});
    return Case{ProxyProtocol::socks5, plain, std::move(turns), std::move(failure)};
  };
  return {
      connect("HTTP/1.1 200 Connection established\r\n\r\n", ""),
      connect("HTTP/1.0 200 OK\r\nProxy-agent: tinyproxy/1.11\r\nContent-Length: 900\r\n\r\n", ""),
      connect("HTTP/1.1 299\r\nTransfer-Encoding: chunked\r\n\r\n", ""),
      {ProxyProtocol::connect,
       secret,
       {{"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n"
         "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
         "HTTP/1.1 200 OK\r\n\r\n"}},
       ""},
      {ProxyProtocol::connect,
       {"2001:db8::1", 8443, {}},
       {{"CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n",
         "HTTP/1.1 200 OK\r\n\r\n"}},
       ""},
      connect("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
              "the proxy wants other credentials (407)"),
      connect("HTTP/1.1 502 Bad Gateway\r\n\r\n", "the proxy refused the connection"),
      connect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
              "the proxy refused the connection"),
      connect("HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n",
              "the proxy refused the connection"),
      connect("HTTP/2.0 200 OK\r\n\r\n", "the proxy's answer is not HTTP"),
      connect("HTTP/1.1 2000 OK\r\n\r\n", "the proxy's answer is not HTTP"),
      connect("HTTP/1.1 20", "not done"),
      connect("SSH-2.0-OpenSSH_9.2\r\n", "the proxy's answer is not HTTP"),
      connect("HTTP/1.1 200 OK\nX: y\n\n", "the proxy's answer is not HTTP"),
      connect("HTTP/1.1 200 OK\r\nX: y\rz\r\n\r\n", "the proxy's answer is not HTTP"),
      connect("HTTP/1.1 200 OK\r\nX: "s + '\0' + "\r\n\r\n", "the proxy's answer is not HTTP"),
      connect("\r\n\r\n", "the proxy's answer is not HTTP"),
      connect("HTTP/1.1 200 OK\r\nX: " + std::string(9000, 'x') + "\r\n\r\n",
              "the proxy's answer is too long"),
      socks("\x05\x00"s, "\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"s, ""),
      socks("\x05\x00"s, "\x05\x00\x00\x04"s + std::string(16, 'x') + "pp", ""),
      socks("\x05\x00"s, "\x05\x00\x00\x03\x00pp"s, ""),
      socks("\x05\x00"s, "\x05\x00\x00\x03\xff"s + std::string(255, 'n') + "pp", ""),
      {ProxyProtocol::socks5,
       {"api.openai.com", 443, "me:pass:word"},
       {{"\x05\x02\x00\x02"s, "\x05\x02"s},
        {"\x01\x02me\x09pass:word"s, "\x01\x00"s},
        {request, "\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"s}},
       ""},
      // Credentials are offered, and not wanted.
      {ProxyProtocol::socks5,
       {"api.openai.com", 443, "me:secret"},
       {{"\x05\x02\x00\x02"s, "\x05\x00"s},
        {request,
         "\x05\x00\x00\x01"
         "abcdpp"s}},
       ""},
      {ProxyProtocol::socks5,
       {"192.0.2.7", 80, {}},
       {{hello, "\x05\x00"s},
        {"\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50"s,
         "\x05\x00\x00\x01"
         "abcdpp"s}},
       ""},
      {ProxyProtocol::socks5,
       {"2001:db8::1", 443, {}},
       {{hello, "\x05\x00"s},
        {"\x05\x01\x00\x04\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01\x01\xbb"s,
         "\x05\x00\x00\x01"
         "abcdpp"s}},
       ""},
      {ProxyProtocol::socks5,
       {"api.openai.com", 443, "me:wrong"},
       {{"\x05\x02\x00\x02"s, "\x05\x02"s}, {"\x01\x02me\x05wrong"s, "\x01\x01"s}},
       "the proxy does not accept the credentials"},
      socks("\x05\xff"s, "", "the proxy wants another way to log in"),
      socks("\x05\x02"s, "", "the proxy wants another way to log in"),
      socks("\x05\x01"s, "", "the proxy wants another way to log in"),
      socks("\x04\x00"s, "", "the proxy does not speak SOCKS5"),
      socks("HTTP/1.1 400 Bad Request\r\n"s, "", "the proxy does not speak SOCKS5"),
      socks("\x05\x00"s, "\x04\x00"s, "the proxy does not speak SOCKS5"),
      socks("\x05\x00"s,
            "\x05\x02\x00\x01"
            "abcdpp"s,
            "the proxy's rules do not allow it (SOCKS5 reply 2)"),
      socks("\x05\x00"s,
            "\x05\x05\x00\x01"
            "abcdpp"s,
            "the host refused the proxy's connection (SOCKS5 reply 5)"),
      socks("\x05\x00"s,
            "\x05\x63\x00\x01"
            "abcdpp"s,
            "the proxy gave a SOCKS5 reply that means nothing"),
      socks("\x05\x00"s,
            "\x05\x00\x00\x09"
            "abcdpp"s,
            "the proxy's reply has an address of an unknown kind"),
      socks("\x05\x00"s,
            "\x05\x00\x00\x01"
            "abcd"s,
            "not done"),
  };
}

TEST(ProxyHandshake, SaysTheSameHoweverTheAnswersAreCut) {
  for (const Case& c : cases()) {
    for (const std::size_t step :
         {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{100'000}}) {
      auto handshake = ProxyHandshake::make(c.protocol, c.target);
      ASSERT_TRUE(handshake);
      EXPECT_EQ(play(*handshake, c.turns, step), c.failure)
          << c.turns.back().answer.substr(0, 60) << " by " << step;
    }
  }
}

TEST(ProxyHandshake, LeavesWhatBelongsToTheTunnel) {
  auto handshake = ProxyHandshake::make(ProxyProtocol::connect, {"a.example", 443, {}});
  ASSERT_TRUE(handshake);
  handshake->sent();
  EXPECT_EQ(handshake->take("HTTP/1.1 200 OK\r\n\r\n\x16\x03"s).value_or(99), 19U);
  EXPECT_TRUE(handshake->done());
  EXPECT_EQ(handshake->take("more"s).value_or(99), 0U);
}

TEST(ProxyHandshake, RefusesWhatTheProtocolCannotCarry) {
  const std::string long_name(300, 'n');
  const struct {
    ProxyProtocol protocol;
    ProxyTarget target;
  } cases[] = {
      {ProxyProtocol::connect, {"", 443, {}}},
      {ProxyProtocol::connect, {long_name, 443, {}}},
      {ProxyProtocol::connect, {"a b", 443, {}}},
      {ProxyProtocol::connect, {"a\r\nX: y", 443, {}}},
      {ProxyProtocol::connect, {"a", 0, {}}},
      {ProxyProtocol::connect, {"a", 443, "no colon"}},
      {ProxyProtocol::connect, {"a", 443, "u:p\r\nX: y"}},
      {ProxyProtocol::socks5, {"a", 443, "no colon"}},
      {ProxyProtocol::socks5, {"a", 443, ":p"}},
      {ProxyProtocol::socks5, {"a", 443, "u:"}},
  };
  for (const auto& c : cases) {
    const auto handshake = ProxyHandshake::make(c.protocol, c.target);
    ASSERT_FALSE(handshake) << c.target.host;
    EXPECT_EQ(handshake.error().code, Errc::bad_value);
  }
}

}  // namespace
}  // namespace sluice::net
