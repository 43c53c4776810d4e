#include <gtest/gtest.h>

#include "sluice/dialect/error_body.hpp"

namespace sluice::dialect {
namespace {

struct ClassCase {
  Format format;
  int status;
  std::string_view body;
  ErrorClass expected;
};

using enum ErrorClass;

TEST(ErrorClass, FollowsBodyBeforeStatus) {
  const Format openai = Format::openai;
  const Format claude = Format::claude;
  const Format gemini = Format::gemini;
  const ClassCase cases[] = {
      {openai, 401,
       R"({"error":{"message":"bad key","type":"invalid_request_error","code":"invalid_api_key"}})",
       key_bad},
      {openai, 429,
       R"({"error":{"message":"quota","type":"insufficient_quota","code":"insufficient_quota"}})",
       no_money},
      {openai, 429,
       R"({"error":{"message":"x","type":"insufficient_quota","code":"project_spend_limit_exceeded"}})",
       no_money},
      {openai, 429,
       R"({"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}})",
       rate},
      {openai, 400,
       R"({"error":{"message":"bad","type":"invalid_request_error","param":null,"code":null}})",
       caller},
      {openai, 400, R"({"error":{"message":"x","code":"context_length_exceeded"}})", caller},
      {openai, 404, R"({"error":{"message":"no model","code":"model_not_found"}})", caller},
      {openai, 500, R"({"error":{"message":"oops","type":"server_error"}})", overloaded},
      {openai, 503, "<html>gateway</html>", overloaded},
      {openai, 402, R"({"error":{"message":"Insufficient Balance","type":"unknown_error"}})",
       no_money},
      {openai, 403, R"({"error":{"message":"no"}})", unknown},
      {openai, 418, "", unknown},
      // Kimi
      {openai, 429, R"({"error":{"type":"exceeded_current_quota_error","message":"x"}})", no_money},
      {openai, 429, R"({"error":{"type":"engine_overloaded_error","message":"x"}})", overloaded},
      {openai, 429, R"({"error":{"type":"rate_limit_reached_error","message":"x"}})", rate},
      {openai, 400,
       R"({"error":{"type":"invalid_request_error","message":"Your request exceeded model token limit : 8192"}})",
       caller},
      // Qwen
      {openai, 400, R"({"error":{"code":"Arrearage","message":"in debt"}})", no_money},
      {openai, 429, R"({"code":"Throttling.RateQuota","message":"slow","request_id":"r"})", rate},
      {openai, 401, R"({"code":"InvalidApiKey","message":"x"})", key_bad},
      // MiniMax
      {openai, 429,
       R"j({"type":"error","error":{"type":"insufficient_balance_error","message":"insufficient balance (1008)"}})j",
       no_money},
      {claude, 500,
       R"j({"type":"error","error":{"type":"api_error","message":"insufficient balance (1008)"}})j",
       no_money},
      // xAI and Mistral: no wrapper
      {openai, 400,
       R"({"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 5"})",
       caller},
      {openai, 422, R"({"object":"error","message":"x","type":"invalid_request","code":"1"})",
       caller},
      // Anthropic
      {claude, 401, R"({"type":"error","error":{"type":"authentication_error","message":"x"}})",
       key_bad},
      {claude, 402, R"({"type":"error","error":{"type":"billing_error","message":"x"}})", no_money},
      {claude, 429,
       R"({"type":"error","error":{"type":"rate_limit_error","message":"x","details":{"error_code":"enforced_spend_limit_reached"}}})",
       no_money},
      {claude, 429, R"({"type":"error","error":{"type":"rate_limit_error","message":"x"}})", rate},
      {claude, 529, R"({"type":"error","error":{"type":"overloaded_error","message":"x"}})",
       overloaded},
      {claude, 400,
       R"({"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API spend limit"}})",
       no_money},
      {claude, 400,
       R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 5"}})",
       caller},
      {claude, 413, R"({"type":"error","error":{"type":"request_too_large","message":"x"}})",
       caller},
      {claude, 200, R"({"type":"error","error":{"type":"overloaded_error","message":"x"}})",
       overloaded},
      // Gemini
      {gemini, 400,
       R"({"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}})",
       key_bad},
      {gemini, 400, R"({"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}})",
       caller},
      {gemini, 429,
       R"({"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProject"}]},{"retryDelay":"17s"}]}})",
       rate},
      {gemini, 429,
       R"({"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProject"},{"quotaId":"PerMinute"}]}]}})",
       no_money},
      {gemini, 503, R"([{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}])",
       overloaded},
  };
  for (const ClassCase& c : cases) {
    EXPECT_EQ(to_string(classify_upstream_error(c.format, c.status, c.body)), to_string(c.expected))
        << c.status << " " << c.body;
  }
}

// Two providers, the same number: 1002 is a bad key at one and too many requests at the other.
TEST(ErrorClass, ATableOfTheProvidersOwnCodesGoesBeforeAllElse) {
  const ErrorTable first("1002 key_bad\n1113 no_money\n1305 overloaded\n");
  const ErrorTable second("1002 rate\n1008 no_money\n1027 caller\napi_error rate\n");
  const struct {
    ErrorTable table;
    int status;
    std::string_view body;
    ErrorClass expected;
  } cases[] = {
      {first, 429, R"({"error":{"code":"1113","message":"arrears"}})", no_money},
      {first, 429, R"({"error":{"code":"1305","message":"flow"}})", overloaded},
      {first, 400, R"({"error":{"code":1002,"message":"auth"}})", key_bad},
      {first, 429, R"({"error":{"code":"11","message":"not in it"}})", rate},
      {first, 429, R"({"error":{"code":"11130","message":"not in it"}})", rate},
      {second, 200, R"({"base_resp":{"status_code":1002,"status_msg":"slow"}})", rate},
      {second, 200, R"({"base_resp":{"status_code":1008,"status_msg":"empty"}})", no_money},
      {second, 500, R"j({"error":{"type":"api_error","message":"output sensitive (1027)"}})j",
       caller},
      {second, 500, R"j({"error":{"type":"api_error","message":"something (x1027)"}})j", rate},
      {ErrorTable(), 429, R"({"error":{"code":"1113","message":"arrears"}})", rate},
      {ErrorTable("1113\n\n1113 nonsense\n1113 caller"), 429,
       R"({"error":{"code":"1113","message":"a broken table"}})", caller},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(to_string(classify_upstream_error(Format::openai, c.status, c.body, c.table)),
              to_string(c.expected))
        << c.status << " " << c.body;
  }
}

TEST(ContextOverflow, IsToldFromRateLimits) {
  for (const std::string_view text :
       {"prompt is too long: 200001 tokens", "This model's maximum context length is 8192 tokens",
        "input token count (9) exceeds the maximum number",
        "Range of input length should be [1, 5]", "invalid params, context window exceeds limit"}) {
    EXPECT_TRUE(is_context_overflow(text)) << text;
  }
  EXPECT_FALSE(is_context_overflow("Rate limit: request exceeds the maximum tokens per minute"));
  EXPECT_FALSE(is_context_overflow("bad request"));
}

}  // namespace
}  // namespace sluice::dialect
