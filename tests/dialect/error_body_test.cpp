#include "sluice/dialect/error_body.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <array>
#include <string>

#include "sluice/dialect/stream_meter.hpp"

namespace sluice::dialect {
namespace {

constexpr Format kFormats[] = {Format::openai, Format::responses, Format::claude, Format::gemini};

std::string body(Format format, ErrorKind kind, const ErrorText& text) {
  std::array<char, kErrorBodyBytes> out{};
  return {out.data(), render_error(format, kind, text, out)};
}

std::string stream_error(Format format, const StreamErrorPlace& place) {
  std::array<char, kErrorBodyBytes> out{};
  return {out.data(), render_stream_error(format, ErrorKind::no_funds, {.message = "no \"credit\""},
                                          place, out)};
}

TEST(ErrorBody, HasTheShapeOfEachFormat) {
  const ErrorText text{.message = "a \"b\"\r\n\\", .request_id = "req_1", .param = "model"};
  EXPECT_EQ(
      body(Format::openai, ErrorKind::bad_request, text),
      R"({"error":{"message":"a \"b\"\u000d\u000a\\","type":"invalid_request_error","param":"model","code":null}})");
  EXPECT_EQ(
      body(Format::responses, ErrorKind::no_funds, {.message = "m"}),
      R"({"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}})");
  EXPECT_EQ(
      body(Format::claude, ErrorKind::no_funds, text),
      R"({"type":"error","error":{"type":"billing_error","message":"a \"b\"\u000d\u000a\\"},"request_id":"req_1"})");
  EXPECT_EQ(body(Format::gemini, ErrorKind::rate_limited, {.message = "m"}),
            R"({"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}})");
}

TEST(ErrorBody, StatusesFollowTheDesign) {
  EXPECT_EQ(status_of(Format::openai, ErrorKind::no_funds), 429);
  EXPECT_EQ(status_of(Format::responses, ErrorKind::budget_exhausted), 429);
  EXPECT_EQ(status_of(Format::claude, ErrorKind::no_funds), 402);
  EXPECT_EQ(status_of(Format::gemini, ErrorKind::no_funds), 429);
  EXPECT_EQ(status_of(Format::gemini, ErrorKind::too_large), 400);
  EXPECT_EQ(status_of(Format::claude, ErrorKind::overloaded), 529);
  for (const Format format : kFormats) {
    EXPECT_EQ(status_of(format, ErrorKind::unavailable), 503);
    EXPECT_EQ(status_of(format, ErrorKind::unauthenticated), 401);
  }
}

TEST(ErrorBody, StaysValidJsonWhateverTheMessage) {
  std::string nasty;
  for (int c = 0; c < 256; ++c) nasty += static_cast<char>(c);
  nasty += "\xf0\x9f\x99\x82\xed\xa0\x80\xc0\xaf";
  for (int i = 0; i < 6; ++i) nasty += nasty;
  for (const Format format : kFormats) {
    for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind) {
      const std::string text = body(format, static_cast<ErrorKind>(kind),
                                    {.message = nasty, .request_id = nasty, .param = nasty});
      ASSERT_FALSE(text.empty());
      EXPECT_EQ(text.find_first_of("\r\n"), std::string::npos);
      simdjson::dom::parser parser;
      EXPECT_EQ(parser.parse(text).error(), simdjson::SUCCESS) << text;
    }
  }
}

TEST(ErrorBody, WritesNothingWhereItDoesNotFit) {
  std::array<char, 20> out{};
  EXPECT_EQ(render_error(Format::openai, ErrorKind::internal, {.message = "m"}, out), 0U);
}

TEST(ErrorHeaders, SayWhetherARetryHelps) {
  const auto headers = [](ErrorKind kind, std::int64_t seconds) {
    std::array<char, 64> out{};
    return std::string(out.data(), render_error_headers(kind, seconds, out));
  };
  EXPECT_EQ(headers(ErrorKind::no_funds, -1), "x-should-retry: false\r\n");
  EXPECT_EQ(headers(ErrorKind::conflict, -1), "x-should-retry: false\r\n");
  EXPECT_EQ(headers(ErrorKind::rate_limited, 7), "x-should-retry: true\r\nretry-after: 7\r\n");
  EXPECT_EQ(headers(ErrorKind::unavailable, 0), "x-should-retry: true\r\nretry-after: 0\r\n");
  EXPECT_EQ(headers(ErrorKind::bad_request, -1), "");
}

TEST(StreamError, IsTheFormatsOwnEvent) {
  EXPECT_EQ(stream_error(Format::openai, {}),
            "data: {\"error\":{\"message\":\"no "
            "\\\"credit\\\"\",\"type\":\"insufficient_quota\",\"param\":null,"
            "\"code\":\"insufficient_quota\"}}\n\n");
  EXPECT_EQ(stream_error(Format::responses, {}),
            "event: error\ndata: "
            "{\"type\":\"error\",\"code\":\"insufficient_quota\",\"message\":\"no \\\"credit\\\"\","
            "\"param\":null,\"sequence_number\":0}\n\n");
  EXPECT_EQ(stream_error(Format::claude, {.at_boundary = false}),
            "\n\nevent: error\ndata: "
            "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"no "
            "\\\"credit\\\"\"},\"request_id\":null}\n\n");
  EXPECT_EQ(stream_error(Format::gemini, {.json_array = true}),
            ",\r\n{\"error\":{\"code\":429,\"message\":\"no "
            "\\\"credit\\\"\",\"status\":\"RESOURCE_EXHAUSTED\"}}\n]");
  EXPECT_TRUE(
      stream_error(Format::gemini, {.json_array = true, .first_element = true}).starts_with("[{"));
}

TEST(StreamError, IsSeenAsAnErrorByOurOwnMeter) {
  const std::pair<Format, Operation> operations[] = {
      {Format::openai, Operation::openai_chat},
      {Format::responses, Operation::openai_responses},
      {Format::claude, Operation::claude_messages},
      {Format::gemini, Operation::gemini_stream_generate}};
  for (const auto& [format, operation] : operations) {
    StreamMeter meter(operation, {});
    const Fed fed = meter.feed(stream_error(format, {}));
    EXPECT_TRUE(fed.at_boundary);
    EXPECT_FALSE(fed.semantic);
    EXPECT_EQ(meter.finish(), StreamEnd::error);
    StreamMeter pinged(operation, {});
    EXPECT_FALSE(pinged.feed(render_ping(format)).semantic);
    EXPECT_TRUE(pinged.at_boundary());
    EXPECT_FALSE(pinged.failed());
    EXPECT_EQ(pinged.malformed_events(), 0U);
  }
}

TEST(ErrorKindOf, NeverBlamesTheClientForAnUpstream) {
  EXPECT_EQ(kind_of({Errc::bad_syntax, Source::client}), ErrorKind::bad_request);
  EXPECT_EQ(kind_of({Errc::bad_syntax, Source::upstream}), ErrorKind::upstream_failed);
  EXPECT_EQ(kind_of({Errc::too_large, Source::client}), ErrorKind::too_large);
  EXPECT_EQ(kind_of({Errc::too_large, Source::upstream}), ErrorKind::upstream_failed);
  EXPECT_EQ(kind_of({Errc::full}), ErrorKind::unavailable);
  EXPECT_EQ(kind_of({Errc::insufficient_funds}), ErrorKind::no_funds);
}

}  // namespace
}  // namespace sluice::dialect
