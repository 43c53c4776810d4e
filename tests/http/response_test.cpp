#include "sluice/http/response.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "mutate.hpp"
#include "sluice/http/body.hpp"
#include "sluice/http/status.hpp"

namespace sluice::http {
namespace {

using namespace std::string_literals;

/// What the upstream side makes of one response: "200 length 5 keep", or why it was refused.
std::string outcome(const std::string& text, std::size_t cut, Method method = Method::post) {
  ResponseParser parser;
  parser.reset(method);
  for (const std::size_t size : {cut, text.size()}) {
    const std::unique_ptr<char[]> exact(new char[size]);
    text.copy(exact.get(), size);
    const std::span<const char> bytes(exact.get(), size);
    const auto status = parser.parse(bytes, Limits::upstream());
    if (!status) {
      EXPECT_EQ(status.error().source, Source::upstream);
      EXPECT_EQ(status_of(status.error()), 502);
      return "refused " + std::string(to_string(status.error().code));
    }
    if (*status == HeadStatus::need_more) continue;
    const ResponseHead head = parser.head(bytes);
    constexpr const char* framings[] = {"none", "length", "chunked", "until_close"};
    std::string result =
        std::to_string(head.status()) + " " + framings[static_cast<int>(head.framing())];
    if (head.framing() == Framing::length) result += " " + std::to_string(head.content_length());
    result += head.keep_alive() ? " keep" : " close";
    if (parser.interim_count() > 0) result += " interim " + std::to_string(parser.interim_count());
    return result + " rest " + std::to_string(text.size() - parser.head_bytes());
  }
  return "waits";
}

std::string outcome(const std::string& text, Method method = Method::post) {
  const std::string whole = outcome(text, text.size(), method);
  const std::size_t step = text.size() < 4096 ? 1 : 211;
  for (std::size_t cut = 0; cut < text.size(); cut += step) {
    EXPECT_EQ(outcome(text, cut, method), whole) << "cut at " << cut;
  }
  return whole;
}

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

struct Case {
  const char* id;
  std::string bytes;
  std::string expected;
};

TEST(ResponseParser, JudgesHostileHeads) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string final_head = ok + "Content-Length: 5\r\n\r\n";
  const Case cases[] = {
      {"U01", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       "refused bad_framing"},
      {"U01 other order", ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
       "refused bad_framing"},
      {"U04", final_head + "helloMORE", "200 length 5 keep rest 9"},
      {"U06 100", "HTTP/1.1 100 Continue\r\n\r\n" + final_head,
       "200 length 5 keep interim 1 rest 0"},
      {"U06 103", repeat("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", 8) + final_head,
       "200 length 5 keep interim 8 rest 0"},
      {"U06 nine", repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9) + final_head,
       "refused head_too_large"},
      {"U06 with length", "HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n" + final_head,
       "refused bad_framing"},
      {"U07 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
       "refused bad_framing"},
      {"U07 200", ok + "Upgrade: x\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nhi",
       "200 length 2 keep rest 2"},
      {"U08 204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
       "204 none close rest 5"},
      {"U08 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 none keep rest 0"},
      {"U09 CR", ok + "X: a\rb\r\nContent-Length: 0\r\n\r\n", "refused bad_syntax"},
      {"U09 LF", ok + "X: a\nContent-Length: 0\r\n\r\n", "refused bad_syntax"},
      {"U09 NUL", ok + "X: a\0b\r\nContent-Length: 0\r\n\r\n"s, "refused bad_syntax"},
      {"U09 fold", ok + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", "refused bad_syntax"},
      {"U10 spaces", "HTTP/1.1  200 OK\r\n\r\n", "refused bad_syntax"},
      {"U10 short", "HTTP/1.1 20\r\n\r\n", "refused bad_syntax"},
      {"U10 LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "refused bad_syntax"},
      {"U10 CR in reason", "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", "refused bad_syntax"},
      {"U10 1.11", "HTTP/1.11 200 OK\r\n\r\n", "refused bad_syntax"},
      {"U10 5.6", "HTTP/5.6 200 OK\r\n\r\n", "refused unsupported"},
      {"U10 2.0", "HTTP/2.0 200 OK\r\n\r\n", "refused bad_syntax"},
      {"U10 600", "HTTP/1.1 600 Odd\r\n\r\n", "refused bad_syntax"},
      {"U10 099", "HTTP/1.1 099 Odd\r\n\r\n", "refused bad_syntax"},
      {"U10 2000", "HTTP/1.1 2000 OK\r\n\r\n", "refused bad_syntax"},
      {"U10 empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", "refused bad_syntax"},
      {"U11 bytes", ok + "X: " + std::string(70000, 'x') + "\r\n\r\n", "refused head_too_large"},
      {"U11 fields", ok + repeat("X: y\r\n", 129) + "\r\n", "refused head_too_large"},
      {"U11 fields that fit", ok + repeat("X: y\r\n", 127) + "Content-Length: 0\r\n\r\n",
       "200 none keep rest 0"},
      {"U13 gzip", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", "refused unsupported"},
      {"U13 identity", ok + "Transfer-Encoding: chunked, identity\r\n\r\n", "refused bad_framing"},
      {"U13 two", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       "refused bad_framing"},
      {"U13 HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
       "refused bad_framing"},
      {"U13 underscore", ok + "Transfer_Encoding: chunked\r\n\r\n", "refused bad_syntax"},
      {"U14 two", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "refused bad_framing"},
      {"U14 hex", ok + "Content-Length: 0x5\r\n\r\n", "refused bad_framing"},
      {"U14 sign", ok + "Content-Length: +5\r\n\r\n", "refused bad_framing"},
      {"U14 empty", ok + "Content-Length: \r\n\r\n", "refused bad_framing"},
      {"U14 overflow", ok + "Content-Length: 18446744073709551621\r\n\r\n", "refused bad_framing"},
      {"U15", ok + "Content-Type: text/event-stream\r\n\r\n", "200 until_close close rest 0"},
      {"U16", "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
       "429 length 2 close rest 2"},
      {"U17 alert", "\x15\x03\x03\x00\x02\x02\x28"s, "refused bad_syntax"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.id);
    EXPECT_EQ(outcome(one.bytes), one.expected);
  }
}

TEST(ResponseParser, DoesNotDependOnTheCutWhenMutated) {
  const std::string heads[] = {
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 \r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\n{}",
      "HTTP/1.0 200\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
  };
  std::mt19937 random(mutation_seed());
  for (int round = 0; round < 20 * mutation_rounds(); ++round) {
    for (std::string text : heads) {
      for (unsigned edits = 1 + random() % 3; edits > 0; --edits) text = mutate(text, random);
      outcome(text);  // compares every cut with the whole
    }
  }
}

TEST(ResponseParser, AcceptsWhatServersSend) {
  EXPECT_EQ(outcome("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), "200 none keep rest 0");
  EXPECT_EQ(outcome("HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n"), "200 length 1 keep rest 0");
  EXPECT_EQ(outcome("HTTP/1.1 200 \xc3\x9c\r\ntransfer-encoding: Chunked\r\n\r\n"),
            "200 chunked keep rest 0");
  EXPECT_EQ(outcome("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"), "200 length 1 close rest 0");
  EXPECT_EQ(outcome("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n"),
            "200 length 1 keep rest 0");
  EXPECT_EQ(outcome("HTTP/1.1 529 \r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "529 chunked close rest 0");
  EXPECT_EQ(outcome("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::head),
            "200 none keep rest 0");
  // Twice the same field that frames nothing is not worth a broken request.
  EXPECT_EQ(
      outcome("HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Type: b\r\nContent-Length: 0\r\n\r\n"),
      "200 none keep rest 0");
}

TEST(ResponseParser, GivesViewsBehindInterimHeads) {
  const std::string text =
      "HTTP/1.1 100 Continue\r\nX-Request-Id: old\r\n\r\n"
      "HTTP/1.1 200 OK\r\nx-request-id: req_1\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
  ResponseParser parser;
  ASSERT_TRUE(parser.parse(text, Limits::upstream()).has_value());
  const ResponseHead head = parser.head(text);
  EXPECT_EQ(head.value(Field::x_request_id), "req_1");
  EXPECT_EQ(head.value(Field::retry_after), "3");
  EXPECT_EQ(head.field_count(), 3U);
  EXPECT_TRUE(parser.saw_continue());
}

// U02, U03, U12 and U15: the body ends wrongly.
TEST(ResponseBody, TellsATruncatedOneFromAWholeOne) {
  const auto ends = [](Framing framing, std::uint64_t length, const std::string& bytes) {
    BodyDecoder decoder(framing, length, UINT64_MAX, Source::upstream);
    std::size_t at = 0;
    while (at < bytes.size() && !decoder.done()) {
      const auto step = decoder.next(std::span<const char>(bytes).subspan(at));
      if (!step) return std::string(to_string(step.error().code));
      at += step->consumed_bytes;
    }
    const auto end = decoder.end_of_stream();
    return end ? std::string("whole") : std::string(to_string(end.error().code));
  };
  EXPECT_EQ(ends(Framing::length, 10, "hello"), "truncated");
  EXPECT_EQ(ends(Framing::length, 5, "hello"), "whole");
  EXPECT_EQ(ends(Framing::chunked, 0, "5\r\nhel"), "truncated");
  EXPECT_EQ(ends(Framing::chunked, 0, "5\r\nhello\r\n"), "truncated");
  EXPECT_EQ(ends(Framing::chunked, 0, "5\r\nhello\r\n0\r\n"), "truncated");
  EXPECT_EQ(ends(Framing::chunked, 0, "5\r\nhello\r\n0\r\n\r\n"), "whole");
  EXPECT_EQ(ends(Framing::until_close, 0, "hello"), "whole");
  EXPECT_EQ(ends(Framing::none, 0, ""), "whole");
  EXPECT_EQ(ends(Framing::chunked, 0, "FFFFFFFFFFFFFFFF\r\n"), "bad_framing");
  EXPECT_EQ(ends(Framing::chunked, 0, "5;x=" + std::string(65536, 'a') + "\r\nhello"),
            "bad_framing");
}

}  // namespace
}  // namespace sluice::http
