#include "personality.hpp"

#include <algorithm>
#include <array>

namespace sluice::mock {
namespace {

using enum Trouble;
using enum Family;

constexpr std::array kOpenai{
    Refusal{key, openai, 401,
            R"({"error":{"message":"Incorrect API key provided","type":"invalid_request_error",)"
            R"("param":null,"code":"invalid_api_key"}})"},
    Refusal{money, openai, 429,
            R"({"error":{"message":"You exceeded your current quota","type":"insufficient_quota",)"
            R"("param":null,"code":"credit_balance_exhausted"}})"},
    Refusal{rate, openai, 429,
            R"({"error":{"message":"Rate limit reached","type":"tokens","param":null,)"
            R"("code":"rate_limit_exceeded"}})"},
    Refusal{busy, openai, 503,
            R"({"error":{"message":"The engine is overloaded","type":"server_error",)"
            R"("param":null,"code":null}})"},
    Refusal{caller, openai, 400,
            R"({"error":{"message":"This model's maximum context length is 10 tokens","type":)"
            R"("invalid_request_error","param":"messages","code":"context_length_exceeded"}})"},
};

constexpr std::array kAnthropic{
    Refusal{key, claude, 401,
            R"({"type":"error","error":{"type":"authentication_error","message":"invalid key"}})"},
    Refusal{money, claude, 400,
            R"({"type":"error","error":{"type":"invalid_request_error","message":)"
            R"("Your credit balance is too low to access the API"}})"},
    Refusal{rate, claude, 429,
            R"({"type":"error","error":{"type":"rate_limit_error","message":"too fast"}})"},
    Refusal{busy, claude, 529,
            R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})"},
    Refusal{caller, claude, 400,
            R"({"type":"error","error":{"type":"invalid_request_error","message":)"
            R"("prompt is too long: 210000 tokens > 200000 maximum"}})"},
};

constexpr std::array kGemini{
    Refusal{key, gemini, 400,
            R"({"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT",)"
            R"("details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",)"
            R"("reason":"API_KEY_INVALID"}]}})"},
    Refusal{money, gemini, 429,
            R"({"error":{"code":429,"message":"You exceeded your current quota","status":)"
            R"("RESOURCE_EXHAUSTED","details":[{"violations":)"
            R"([{"quotaId":"GenerateRequestsPerDayPerProjectPerModel"}]}]}})"},
    Refusal{rate, gemini, 429,
            R"({"error":{"code":429,"message":"You exceeded your current quota","status":)"
            R"("RESOURCE_EXHAUSTED","details":[{"violations":)"
            R"([{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]},)"
            R"({"retryDelay":"17s"}]}})"},
    Refusal{busy, gemini, 503,
            R"({"error":{"code":503,"message":"The model is overloaded","status":"UNAVAILABLE"}})"},
    Refusal{caller, gemini, 400,
            R"({"error":{"code":400,"message":"Invalid JSON payload received. Unknown name",)"
            R"("status":"INVALID_ARGUMENT"}})"},
};

constexpr std::array kXai{
    Refusal{key, openai, 401, R"({"code":"unauthenticated","error":"Incorrect API key provided"})"},
    Refusal{money, openai, 402, R"({"code":"payment","error":"Your team has no credits left"})"},
    Refusal{rate, openai, 429, R"({"code":"limited","error":"Too many requests"})"},
    Refusal{busy, openai, 503, R"({"code":"unavailable","error":"The service is at capacity"})"},
    Refusal{caller, openai, 200,
            R"({"code":"Client specified an invalid argument","error":"This model's maximum )"
            R"(prompt length is 131072 but the request contains 140000 tokens"})",
            true},
    Refusal{caller, openai, 400,
            R"({"code":"Client specified an invalid argument","error":"This model's maximum )"
            R"(prompt length is 131072 but the request contains 140000 tokens"})"},
};

constexpr std::array kMistral{
    Refusal{key, openai, 401, R"({"message":"Unauthorized","request_id":"r1"})"},
    Refusal{money, openai, 402, R"({"message":"Payment required","request_id":"r1"})"},
    Refusal{rate, openai, 429,
            R"({"object":"error","message":"Requests rate limit exceeded","type":"rate_limited",)"
            R"("param":null,"code":"1300"})"},
    Refusal{busy, openai, 503, R"({"message":"upstream connect error","request_id":"r1"})"},
    Refusal{caller, openai, 422,
            R"({"object":"error","message":{"detail":[{"type":"extra_forbidden",)"
            R"("loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]},)"
            R"("type":"invalid_request_error","param":null,"code":null})"},
};

constexpr std::array kQwen{
    Refusal{key, openai, 401,
            R"({"error":{"message":"Incorrect API key provided","type":"invalid_request_error",)"
            R"("param":null,"code":"invalid_api_key"},"request_id":"r1"})"},
    Refusal{money, openai, 400,
            R"({"error":{"message":"Access denied, please make sure your account is in good )"
            R"(standing","type":"Arrearage","param":null,"code":"Arrearage"},"request_id":"r1"})"},
    Refusal{rate, openai, 429,
            R"({"error":{"message":"You exceeded your current quota","type":"insufficient_quota",)"
            R"("param":null,"code":"insufficient_quota"},"request_id":"r1"})"},
    Refusal{busy, openai, 503,
            R"({"error":{"message":"Too many requests to the model","type":"ModelServing",)"
            R"("param":null,"code":"ModelServing"},"request_id":"r1"})"},
    Refusal{caller, openai, 400,
            R"({"error":{"message":"Range of input length should be [1, 1000]","type":)"
            R"("invalid_request_error","param":null,"code":"invalid_parameter_error"}})"},
};

constexpr std::array kDeepseek{
    Refusal{key, openai, 401,
            R"({"error":{"message":"Authentication Fails","type":"authentication_error",)"
            R"("param":null,"code":"invalid_request_error"}})"},
    Refusal{money, openai, 402,
            R"({"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,)"
            R"("code":"invalid_request_error"}})"},
    Refusal{rate, openai, 429,
            R"({"error":{"message":"Concurrency limit reached","type":"rate_limit","param":null,)"
            R"("code":429}})"},
    Refusal{busy, openai, 503,
            R"({"error":{"message":"Server overloaded","type":"service_unavailable_error",)"
            R"("param":null,"code":503}})"},
    Refusal{caller, openai, 422,
            R"({"error":{"message":"Invalid parameters","type":"invalid_request_error",)"
            R"("param":null,"code":"invalid_request_error"}})"},
};

constexpr std::array kKimi{
    Refusal{key, openai, 401,
            R"({"error":{"type":"invalid_authentication_error","message":"Invalid key"}})"},
    Refusal{money, openai, 429,
            R"({"error":{"type":"exceeded_current_quota_error","message":"Check your plan"}})"},
    Refusal{rate, openai, 429,
            R"({"error":{"type":"rate_limit_reached_error","message":"max RPM reached"}})"},
    Refusal{busy, openai, 429,
            R"({"error":{"type":"engine_overloaded_error","message":"try again later"}})"},
    Refusal{caller, openai, 400,
            R"({"error":{"type":"invalid_request_error","message":)"
            R"("Your request exceeded model token limit : 8192"}})"},
};

constexpr std::array kGlm{
    Refusal{key, openai, 401, R"({"error":{"code":"1002","message":"The token is not valid"}})"},
    Refusal{money, openai, 429,
            R"({"error":{"code":"1113","message":"Your account is in arrears"}})"},
    Refusal{rate, openai, 429, R"({"error":{"code":"1302","message":"Too many at once"}})"},
    Refusal{busy, openai, 429, R"({"error":{"code":"1312","message":"The model is overloaded"}})"},
    Refusal{caller, openai, 400, R"({"error":{"code":"1261","message":"The prompt is too long"}})"},
};

constexpr std::array kMinimax{
    Refusal{key, openai, 200,
            R"({"base_resp":{"status_code":2049,"status_msg":"invalid api key"}})"},
    Refusal{money, openai, 429,
            R"j({"type":"error","error":{"type":"insufficient_balance_error","message":)j"
            R"j("insufficient balance (1008)","http_code":"429"},"request_id":"r1"})j"},
    Refusal{rate, openai, 200, R"({"base_resp":{"status_code":1002,"status_msg":"rate limit"}})"},
    Refusal{busy, openai, 200,
            R"({"base_resp":{"status_code":1001,"status_msg":"request timeout"}})"},
    Refusal{caller, openai, 200,
            R"({"base_resp":{"status_code":1027,"status_msg":"output is sensitive"}})"},
    Refusal{money, claude, 500,
            R"j({"type":"error","error":{"type":"api_error","message":)j"
            R"j("insufficient balance (1008)"},"request_id":"r1"})j"},
};

constexpr std::array kPersonalities{
    Personality{.name = "openai", .refusals = kOpenai},
    Personality{.name = "anthropic", .refusals = kAnthropic},
    Personality{.name = "gemini", .refusals = kGemini},
    Personality{.name = "xai", .usage_names = UsageNames::xai, .refusals = kXai},
    Personality{.name = "mistral",
                .usage_names = UsageNames::mistral,
                .usage_place = UsagePlace::finish_chunk,
                .usage_unasked = true,
                .array_content = true,
                .strict = true,
                .refusals = kMistral},
    Personality{.name = "qwen",
                .usage_names = UsageNames::qwen,
                .reasoning_field = true,
                .refusals = kQwen},
    Personality{.name = "deepseek",
                .usage_names = UsageNames::deepseek,
                .usage_place = UsagePlace::finish_chunk,
                .reasoning_field = true,
                .blank_lines = 2,
                .pings = 2,
                .refusals = kDeepseek},
    Personality{.name = "kimi",
                .usage_names = UsageNames::kimi,
                .usage_place = UsagePlace::choice,
                .usage_unasked = true,
                .reasoning_field = true,
                .refusals = kKimi},
    Personality{.name = "glm", .reasoning_field = true, .refusals = kGlm},
    Personality{.name = "minimax", .think_tags = true, .refusals = kMinimax},
};

}  // namespace

const Personality* find_personality(std::string_view name) {
  const auto found = std::ranges::find(kPersonalities, name, &Personality::name);
  return found == kPersonalities.end() ? nullptr : &*found;
}

const Refusal* find_refusal(const Personality* personality, Trouble trouble, Family family,
                            bool streamed) {
  if (personality == nullptr) return nullptr;
  const auto found = std::ranges::find_if(personality->refusals, [&](const Refusal& row) {
    return row.trouble == trouble && row.family == family && (streamed || !row.streamed_only);
  });
  return found == personality->refusals.end() ? nullptr : &*found;
}

}  // namespace sluice::mock
