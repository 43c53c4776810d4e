#include "sluice/http/writer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "sluice/http/response.hpp"
#include "sluice/http/status.hpp"

namespace sluice::http {
namespace {

Errc failure(const Result<std::size_t>& result) {
  return result ? Errc::none : result.error().code;
}

TEST(HeadWriter, WritesARequestThatTheParserReads) {
  std::array<char, 512> room{};
  HeadWriter writer(room);
  writer.request_line(Method::post, "/v1/chat/completions", "api-version=1");
  writer.field("host", "api.example");
  writer.field("authorization", "Bearer ", "sk-1");
  writer.field("x-count", 42U);
  writer.content_length(27);
  const auto size = writer.finish();
  ASSERT_TRUE(size.has_value());
  const std::string text(room.data(), *size);
  EXPECT_EQ(text,
            "POST /v1/chat/completions?api-version=1 HTTP/1.1\r\nhost: api.example\r\n"
            "authorization: Bearer sk-1\r\nx-count: 42\r\ncontent-length: 27\r\n\r\n");
  RequestParser parser;
  const auto status = parser.parse(text, {});
  ASSERT_TRUE(status && *status == HeadStatus::complete);
  EXPECT_EQ(parser.head(text).value(Field::authorization), "Bearer sk-1");
  EXPECT_EQ(parser.head(text).content_length(), 27U);
}

TEST(HeadWriter, WritesAResponseThatTheParserReads) {
  for (const int code : {200, 400, 402, 429, 503, 529}) {
    std::array<char, 512> room{};
    HeadWriter writer(room);
    writer.status_line(code);
    writer.field("content-type", "text/event-stream; charset=utf-8");
    writer.transfer_encoding_chunked();
    writer.connection_close();
    const auto size = writer.finish();
    ASSERT_TRUE(size.has_value());
    const std::span<const char> text(room.data(), *size);
    ResponseParser parser;
    const auto status = parser.parse(text, Limits::upstream());
    ASSERT_TRUE(status && *status == HeadStatus::complete);
    EXPECT_EQ(parser.head(text).status(), code);
    EXPECT_EQ(parser.head(text).framing(), Framing::chunked);
    EXPECT_FALSE(parser.head(text).keep_alive());
  }
}

TEST(HeadWriter, NeverEmitsBytesThatCouldSplitAHead) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string value = {'a', static_cast<char>(byte), 'b'};
    std::array<char, 128> room{};
    HeadWriter writer(room);
    writer.status_line(200);
    writer.field("x", value);
    const bool allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    EXPECT_EQ(writer.finish().has_value(), allowed) << byte;
    EXPECT_EQ(is_field_value(value), allowed) << byte;

    // At each place of a longer value, where bytes are looked at eight at a time.
    for (std::size_t at = 0; at < 21; ++at) {
      std::string longer(21, 'v');
      longer[at] = static_cast<char>(byte);
      ASSERT_EQ(is_field_value(longer), allowed) << byte << " at " << at;
      longer[(at + 1) % 21] = '\x80';
      ASSERT_EQ(is_field_value(longer), allowed) << byte << " at " << at;
    }

    HeadWriter named(room);
    named.status_line(200);
    named.field(value, "x");
    EXPECT_EQ(named.finish().has_value(), is_token(value)) << byte;
  }
  for (const char* name : {"", "a:", "a b", "a\r\nb", "\xc3\xa9"})
    EXPECT_FALSE(is_token(name)) << name;
}

TEST(HeadWriter, RefusesATargetThatCouldSplitAHead) {
  for (const char* path : {"", "v1", "/a b", "/a\r\nX: y", "/a#b", "/a?b", "/\x80"}) {
    std::array<char, 128> room{};
    HeadWriter writer(room);
    writer.request_line(Method::get, path);
    EXPECT_EQ(failure(writer.finish()), Errc::bad_value) << path;
  }
  std::array<char, 128> room{};
  HeadWriter writer(room);
  writer.request_line(Method::get, "/", "a b");
  EXPECT_EQ(failure(writer.finish()), Errc::bad_value);
}

TEST(HeadWriter, TakesWellKnownNamesByNumber) {
  std::array<char, 128> room{};
  HeadWriter writer(room);
  writer.status_line(200);
  writer.field(Field::x_request_id, "req", "_1");
  const auto size = writer.finish();
  ASSERT_TRUE(size.has_value());
  EXPECT_EQ(std::string(room.data(), *size), "HTTP/1.1 200 OK\r\nx-request-id: req_1\r\n\r\n");
  for (const Field reserved :
       {Field::content_length, Field::transfer_encoding, Field::connection, Field::none}) {
    HeadWriter other(room);
    other.status_line(200);
    other.field(reserved, "1");
    EXPECT_EQ(failure(other.finish()), Errc::bad_value) << name_of(reserved);
  }
}

TEST(HeadWriter, CopiesLinesThatWereCheckedBefore) {
  std::array<char, 128> room{};
  HeadWriter writer(room);
  writer.status_line(200);
  writer.checked_lines("a: 1\r\nb: 2\r\n");
  writer.checked_lines({});
  const auto size = writer.finish();
  ASSERT_TRUE(size.has_value());
  EXPECT_EQ(std::string(room.data(), *size), "HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\n\r\n");

  HeadWriter unended(room);
  unended.status_line(200);
  unended.checked_lines("a: 1");
  EXPECT_EQ(failure(unended.finish()), Errc::bad_value);
  HeadWriter early(room);
  early.checked_lines("a: 1\r\n");
  EXPECT_EQ(failure(early.finish()), Errc::internal);
}

TEST(HeadWriter, KeepsFramingForItself) {
  for (const char* name : {"Content-Length", "transfer-encoding", "Connection", "Upgrade", "TE",
                           "Trailer", "Keep-Alive", "Proxy-Connection"}) {
    std::array<char, 128> room{};
    HeadWriter writer(room);
    writer.status_line(200);
    writer.field(name, "1");
    EXPECT_EQ(failure(writer.finish()), Errc::bad_value) << name;
  }
  std::array<char, 128> room{};
  HeadWriter writer(room);
  writer.status_line(200);
  writer.content_length(1);
  writer.transfer_encoding_chunked();
  EXPECT_EQ(failure(writer.finish()), Errc::internal);
}

TEST(HeadWriter, SaysWhenTheRoomIsTooSmall) {
  const auto write = [](std::span<char> room) {
    HeadWriter writer(room);
    writer.status_line(200);
    writer.field("x", "y");
    writer.content_length(1);
    return writer.finish();
  };
  std::array<char, 256> room{};
  const std::size_t needed = write(room).value_or(0);
  ASSERT_GT(needed, 0U);
  for (std::size_t size = 0; size < needed; ++size) {
    EXPECT_EQ(failure(write(std::span(room).first(size))), Errc::full) << size;
  }
  EXPECT_EQ(write(std::span(room).first(needed)).value_or(0), needed);
}

TEST(HeadWriter, NeedsAFirstLine) {
  std::array<char, 64> room{};
  HeadWriter writer(room);
  writer.field("a", "b");
  EXPECT_EQ(failure(writer.finish()), Errc::internal);
}

TEST(ChunkHead, IsHexWithoutLeadingZeros) {
  const auto text = [](std::uint64_t size) {
    std::array<char, kChunkHeadBytes> room{};
    return std::string(room.data(), write_chunk_head(room, size));
  };
  EXPECT_EQ(text(1), "1\r\n");
  EXPECT_EQ(text(15), "f\r\n");
  EXPECT_EQ(text(16), "10\r\n");
  EXPECT_EQ(text(0x1abc), "1abc\r\n");
  EXPECT_EQ(text(UINT64_MAX), "ffffffffffffffff\r\n");
}

TEST(Status, MapsEachErrorOfAClient) {
  const auto status = [](Errc code, Source source) { return status_of(Error{code, source}); };
  EXPECT_EQ(status(Errc::truncated, Source::upstream), 502);
  EXPECT_EQ(status(Errc::timed_out, Source::upstream), 504);
  EXPECT_EQ(status(Errc::timed_out, Source::client), 408);
  EXPECT_EQ(status(Errc::internal, Source::self), 500);
  EXPECT_EQ(reason_phrase(418), "Unknown");
}

}  // namespace
}  // namespace sluice::http
