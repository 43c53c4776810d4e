#include "sluice/dialect/rate_headers.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "sluice/dialect/error_body.hpp"

namespace sluice::dialect {
namespace {

std::string render(Format format, const RateLimits& limits) {
  std::array<char, kRateHeaderBytes> out;
  constexpr TimeNs kAt = 1'795'662'000 * kSecond;  // 2026-11-26T03:00:00Z
  return {out.data(), render_rate_headers(format, limits, kAt, out)};
}

TEST(RateHeaders, OpenAiSaysBothBucketsWithDurations) {
  EXPECT_EQ(render(Format::openai, {{60, 59, kSecond}, {6000, 4500, 15'250 * kMillisecond}}),
            "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\n"
            "x-ratelimit-reset-requests: 1s\r\n"
            "x-ratelimit-limit-tokens: 6000\r\nx-ratelimit-remaining-tokens: 4500\r\n"
            "x-ratelimit-reset-tokens: 15.25s\r\n");
}

TEST(RateHeaders, DurationsAreThoseOfGo) {
  const std::pair<TimeNs, const char*> cases[] = {
      {0, "0ms"},
      {1, "1ms"},
      {20 * kMillisecond, "20ms"},
      {999 * kMillisecond, "999ms"},
      {1000 * kMillisecond, "1s"},
      {1005 * kMillisecond, "1.005s"},
      {1050 * kMillisecond, "1.05s"},
      {1100 * kMillisecond, "1.1s"},
      {60 * kSecond, "1m0s"},
      {360 * kSecond, "6m0s"},
      {61'500 * kMillisecond, "1m1.5s"},
  };
  for (const auto& [ns, text] : cases) {
    const std::string lines = render(Format::responses, {{5, 0, ns}, {}});
    EXPECT_TRUE(lines.ends_with("reset-requests: " + std::string(text) + "\r\n")) << lines;
  }
}

TEST(RateHeaders, ClaudeSaysTimes) {
  EXPECT_EQ(
      render(Format::claude, {{}, {6000, 4500, 15'250 * kMillisecond}}),
      "anthropic-ratelimit-tokens-limit: 6000\r\nanthropic-ratelimit-tokens-remaining: 4500\r\n"
      "anthropic-ratelimit-tokens-reset: 2026-11-26T03:00:16Z\r\n");
}

TEST(RateHeaders, NothingWithoutLimitsAndForGemini) {
  EXPECT_EQ(render(Format::openai, {}), "");
  EXPECT_EQ(render(Format::gemini, {{60, 59, kSecond}, {}}), "");
}

TEST(RateHeaders, TheLargestNumbersFit) {
  const RateBucket most{UINT64_MAX / 2, UINT64_MAX / 2, INT64_MAX / 2};
  EXPECT_FALSE(render(Format::openai, {most, most}).empty());
  EXPECT_FALSE(render(Format::claude, {most, most}).empty());
}

TEST(RateHeaders, GeminiHasTheDelayInItsError) {
  std::array<char, kErrorBodyBytes> out;
  const ErrorText text{.message = "slow down", .request_id = {}, .param = {}, .retry_after_s = 7};
  const std::size_t bytes = render_error(Format::gemini, ErrorKind::rate_limited, text, out);
  EXPECT_NE(std::string_view(out.data(), bytes)
                .find(R"({"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"})"),
            std::string_view::npos);
}

}  // namespace
}  // namespace sluice::dialect
