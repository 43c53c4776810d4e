#include "sluice/http/request.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "session.hpp"

namespace sluice::http {
namespace {

struct Parsed {
  std::string bytes;
  RequestParser parser;
  Result<HeadStatus> status = HeadStatus::need_more;

  explicit Parsed(std::string text, const Limits& limits = {}) : bytes(std::move(text)) {
    status = parser.parse(bytes, limits);
  }
  [[nodiscard]] bool complete() const { return status && *status == HeadStatus::complete; }
  [[nodiscard]] RequestHead head() const { return parser.head(bytes); }
  /// Status that answers the error, or 0.
  [[nodiscard]] int refusal() const { return status ? 0 : status_of(status.error()); }
};

TEST(RequestParser, GivesViewsOfTheHead) {
  const Parsed parsed(
      "POST /v1/messages?beta=true&x=? HTTP/1.1\r\nHost: api.example:8443\r\nX-Api-Key:sk-1\r\n"
      "Content-Length: 12\r\nanthropic-version: 2023-06-01\r\nX-Custom: \t a  b "
      "\t\r\nX-Empty:\r\n\r\n{");
  ASSERT_TRUE(parsed.complete());
  const RequestHead head = parsed.head();
  EXPECT_EQ(head.method(), Method::post);
  EXPECT_EQ(head.target(), "/v1/messages?beta=true&x=?");
  EXPECT_EQ(head.path(), "/v1/messages");
  EXPECT_EQ(head.query(), "beta=true&x=?");
  EXPECT_EQ(head.version_minor(), 1);
  EXPECT_EQ(head.framing(), Framing::length);
  EXPECT_EQ(head.content_length(), 12U);
  EXPECT_EQ(head.value(Field::host), "api.example:8443");
  EXPECT_EQ(head.value(Field::x_api_key), "sk-1");
  EXPECT_EQ(head.value(Field::anthropic_version), "2023-06-01");
  EXPECT_FALSE(head.has(Field::authorization));
  EXPECT_EQ(head.value(Field::authorization).data(), nullptr);
  ASSERT_EQ(head.field_count(), 6U);
  EXPECT_EQ(head.field(4).name, "X-Custom");
  EXPECT_EQ(head.field(4).value, "a  b");
  EXPECT_EQ(head.field(4).id, Field::none);
  EXPECT_EQ(head.field(5).name, "X-Empty");
  EXPECT_EQ(head.field(5).value, "");
  EXPECT_EQ(parsed.parser.head_bytes(), parsed.bytes.size() - 1);
  EXPECT_TRUE(head.keep_alive());
}

TEST(RequestParser, KnowsTheMethods) {
  for (const Method method : {Method::get, Method::head, Method::post, Method::put, Method::patch,
                              Method::del, Method::options}) {
    const Parsed parsed(std::string(to_string(method)) + " / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(parsed.complete()) << to_string(method);
    EXPECT_EQ(parsed.head().method(), method);
  }
}

TEST(RequestParser, AnswersEachRefusalWithItsStatus) {
  struct Case {
    const char* text;
    int status;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.0\r\n\r\n", 400},
      {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
      {"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505},
      {"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400},
      {"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 33554433\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nHost: a\r\nExpect: later\r\n\r\n", 417},
      {"POST / HTTP/1.1\r\nHost: a\r\nX-Api-Key: 1\r\nX-Api-Key: 1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nx_api_key: 1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nConnection: close, host\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n \r\n\r\n", 400},
  };
  for (const Case& one : cases) EXPECT_EQ(Parsed(one.text).refusal(), one.status) << one.text;
}

TEST(RequestParser, StaysRefusedWhateverComesNext) {
  const std::string bad = "GET / HTTP/1.1\r\nHost: a\r\nX y: 1\r\n";
  RequestParser parser;
  const auto first = parser.parse(bad, {});
  ASSERT_FALSE(first.has_value());
  const std::string good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(parser.parse(good, {}), first);
  EXPECT_EQ(parser.parse({}, {}), first);
  parser.reset();
  EXPECT_EQ(parser.parse(good, {}), HeadStatus::complete);
}

TEST(RequestParser, AcceptsOnlyWellFormedHosts) {
  for (const char* host : {"a", "a.example", "A-1.example:80", "127.0.0.1:65535", "[::1]",
                           "[::1]:8080", "under_score"}) {
    EXPECT_TRUE(Parsed(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n").complete())
        << host;
  }
  for (const char* host : {"", "a:", ":80", "a:65536", "a:8x", "a/b", "u@a", "a,b", "[::1", "[]",
                           "[g]", "a b", "[::1]8080", "a:1:2", "a%2e"}) {
    EXPECT_EQ(Parsed(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n").refusal(), 400)
        << host;
  }
}

TEST(RequestParser, DecidesKeepAlive) {
  const auto keep_alive = [](const std::string& version, const std::string& fields) {
    const Parsed parsed("GET / " + version + "\r\nHost: a\r\n" + fields + "\r\n");
    EXPECT_TRUE(parsed.complete());
    return parsed.head().keep_alive();
  };
  EXPECT_TRUE(keep_alive("HTTP/1.1", ""));
  EXPECT_FALSE(keep_alive("HTTP/1.1", "Connection: Close\r\n"));
  EXPECT_FALSE(keep_alive("HTTP/1.1", "Connection: TE\r\nConnection: x, ,close\r\n"));
  EXPECT_FALSE(keep_alive("HTTP/1.0", ""));
  EXPECT_TRUE(keep_alive("HTTP/1.0", "Connection: keep-alive\r\n"));
  EXPECT_FALSE(keep_alive("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

TEST(RequestParser, KnowsWhatConnectionNames) {
  const Parsed parsed(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-One\r\nConnection: te , X-Two\r\n\r\n");
  ASSERT_TRUE(parsed.complete());
  EXPECT_TRUE(parsed.head().connection_names("x-one"));
  EXPECT_TRUE(parsed.head().connection_names("x-two"));
  EXPECT_TRUE(parsed.head().connection_names("TE"));
  EXPECT_FALSE(parsed.head().connection_names("x"));
  EXPECT_FALSE(parsed.head().connection_names("x-three"));
}

TEST(RequestParser, ContinueIsOnlyExpectedByHttp11) {
  const Parsed newer(
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n");
  ASSERT_TRUE(newer.complete());
  EXPECT_TRUE(newer.head().expects_continue());
  const Parsed older(
      "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  ASSERT_TRUE(older.complete());
  EXPECT_FALSE(older.head().expects_continue());
}

TEST(RequestParser, KeepsEveryLimitToTheByte) {
  const std::string head = "GET /12345678 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  Limits limits;
  limits.head_bytes = static_cast<std::uint32_t>(head.size());
  EXPECT_EQ(Parsed(head, limits).refusal(), 0);
  --limits.head_bytes;
  EXPECT_EQ(Parsed(head, limits).refusal(), 431);
  limits = {};
  limits.target_bytes = 9;
  EXPECT_EQ(Parsed(head, limits).refusal(), 0);
  limits.target_bytes = 8;
  EXPECT_EQ(Parsed(head, limits).refusal(), 414);
  limits = {};
  limits.fields = 2;
  EXPECT_EQ(Parsed(head, limits).refusal(), 0);
  limits.fields = 1;
  EXPECT_EQ(Parsed(head, limits).refusal(), 431);
  const auto name = [](std::size_t bytes) {
    return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(bytes, 'n') + ": v\r\n\r\n";
  };
  EXPECT_EQ(Parsed(name(kMaxFieldNameBytes)).refusal(), 0);
  EXPECT_EQ(Parsed(name(kMaxFieldNameBytes + 1)).refusal(), 431);
  limits = {};
  limits.body_bytes = 7;
  const std::string sized = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ";
  EXPECT_EQ(Parsed(sized + "7\r\n\r\n", limits).refusal(), 0);
  EXPECT_EQ(Parsed(sized + "8\r\n\r\n", limits).refusal(), 413);
}

TEST(RequestParser, HoldsAsManyFieldsAsTheTableHas) {
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (std::uint32_t i = 1; i < kMaxFields; ++i) head += "X-" + std::to_string(i) + ": v\r\n";
  Limits limits;
  limits.fields = 1000;  // above the table: its size counts
  const Parsed parsed(head + "\r\n", limits);
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.head().field(kMaxFields - 1).name, "X-127");
  EXPECT_EQ(Parsed(head + "Y: v\r\n\r\n", limits).refusal(), 431);
}

// A wrong byte and a passed limit in one run of bytes: which one is answered must not depend on the
// cut.
TEST(RequestParser, AnswersTheSameWhereverAWrongByteMeetsALimit) {
  Limits limits;
  limits.target_bytes = 20;
  limits.fields = 2;
  const std::string cases[] = {
      "GET /" + std::string(30, 'a') + "\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /" + std::string(10, 'a') + "\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /" + std::string(30, 'a') + "\t HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /" + std::string(30, 'a') + "\n",
      "GET  /" + std::string(30, 'a') + "\x01",
      "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(140, 'n') + "\t: v\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: b\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(140, 'n') + "\x01: v\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(100, 'n') + "\x01: v\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\nY\x01: v\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\x01: v\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n y\r\nY: v\r\nZ\x01: v\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
  };
  for (const std::string& text : cases) {
    const std::string whole = run_session({text}, limits);
    EXPECT_TRUE(whole.starts_with("refused")) << whole;
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(run_session({text.substr(0, cut), text.substr(cut)}, limits), whole)
          << text << " at " << cut;
    }
    std::vector<std::string> bytes;
    for (const char c : text) bytes.emplace_back(1, c);
    ASSERT_EQ(run_session(bytes, limits), whole) << text;
  }
}

TEST(RequestParser, GivesTheSameBodyWhereverItIsCut) {
  const std::string text =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n00006;a=\"b\\\"\"\r\n world\r\n0\r\nX: y\r\n\r\n"
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nend";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    Session session;
    session.receive(text.substr(0, cut));
    session.receive(text.substr(cut));
    ASSERT_EQ(session.bodies(), "hello worldend") << cut;
    ASSERT_EQ(session.outcome(), "POST /v1/chat/completions 11 bytes; POST / 3 bytes; idle") << cut;
  }
}

}  // namespace
}  // namespace sluice::http
