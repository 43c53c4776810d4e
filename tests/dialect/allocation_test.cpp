// The request and chunk path allocates nothing.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <new>
#include <string>

#include "sluice/dialect/error_body.hpp"
#include "sluice/dialect/request_scan.hpp"
#include "sluice/dialect/route.hpp"
#include "sluice/dialect/stream_meter.hpp"

namespace {
thread_local std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace sluice::dialect {
namespace {

TEST(Allocation, NoneOnTheRequestAndChunkPath) {
  const std::string body = R"({"model":"m\u0031","stream":true,"messages":[{"content":"h\n)" +
                           std::string(5000, 'x') + R"("}]})";
  const std::string event =
      "data: {\"choices\":[{\"delta\":{\"content\":\"" + std::string(9000, 'y') + "\"}}]}\r\n\r\n";
  const std::string usage =
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";
  ASSERT_TRUE(
      scan_request(Operation::openai_chat, body).has_value());  // chooses the UTF-8 kernel once
  std::array<char, kErrorBodyBytes> out{};
  const std::size_t before = allocations;
  const Route routed = route("POST", "/v1/models/org/m%3AstreamGenerateContent", "alt=sse&key=k",
                             {.x_goog_api_key = "k"});
  const auto scan = scan_request(Operation::openai_chat, body);
  const auto edits =
      plan_edits(*scan, {.upstream_model = "other", .include_usage = true, .output_cap = 5});
  const Tokens input = estimate_input_tokens(*scan);
  const auto target = upstream_target({.base_path = "/v1", .model = "m"}, out);
  StreamMeter meter(Operation::openai_chat, {.withhold_usage = true});
  for (const std::string* text : {&event, &usage}) {
    for (std::size_t at = 0; at < text->size();) {
      at += meter.feed(std::string_view(*text).substr(at, 700)).consumed;
    }
  }
  const StreamEnd end = meter.finish();
  const Usage counted = meter.usage();
  BodyMeter answer(Operation::openai_chat);
  answer.feed(body);
  const std::size_t size = render_error(Format::claude, ErrorKind::no_funds, {.message = "m"}, out);
  const std::size_t after = allocations;
  EXPECT_EQ(after, before);
  EXPECT_EQ(routed.verdict, RouteVerdict::ok);
  EXPECT_EQ(edits->size(), 3U);
  EXPECT_GT(input, 1000);
  EXPECT_TRUE(target.has_value());
  EXPECT_EQ(end, StreamEnd::clean);
  EXPECT_EQ(counted.input, 1);
  EXPECT_GT(size, 0U);
}

TEST(Allocation, OneForTheTextsOfAnError) {
  const std::size_t before = allocations;
  const ErrorClass error_class = classify_upstream_error(
      Format::openai, 429, R"({"error":{"code":"insufficient_quota","type":"t","message":"m"}})");
  EXPECT_EQ(allocations, before + 1);
  EXPECT_EQ(error_class, ErrorClass::no_money);
}

}  // namespace
}  // namespace sluice::dialect
