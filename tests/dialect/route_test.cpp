#include "sluice/dialect/route.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace sluice::dialect {
namespace {

struct RouteCase {
  std::string_view method, path, query;
  AuthHeaders headers;
  RouteVerdict verdict;
  Format format;
  Operation operation;
  std::string_view model;
  bool stream = false;
  bool json_array = false;
};

using enum RouteVerdict;

TEST(Route, KnowsThePathsOfAllFormats) {
  const AuthHeaders none{};
  const AuthHeaders google{.x_goog_api_key = "k"};
  const AuthHeaders claude{.anthropic_version = "2023-06-01"};
  const AuthHeaders claude_key{.x_api_key = "k"};
  const RouteCase cases[] = {
      {"POST", "/v1/chat/completions", "", none, ok, Format::openai, Operation::openai_chat, ""},
      {"POST", "/v1/completions", "", none, ok, Format::openai, Operation::openai_completions, ""},
      {"POST", "/v1/embeddings", "", none, ok, Format::openai, Operation::openai_embeddings, ""},
      {"POST", "/v1/responses", "", none, ok, Format::responses, Operation::openai_responses, ""},
      {"POST", "/v1beta/openai/chat/completions", "", none, ok, Format::openai,
       Operation::openai_chat, ""},
      {"GET", "/v1/chat/completions", "", none, method_not_allowed, Format::openai,
       Operation::openai_chat, ""},
      {"GET", "/v1/responses/resp_1", "", none, not_offered, Format::responses,
       Operation::openai_chat, ""},
      {"POST", "/v1/images/generations", "", none, not_offered, Format::openai,
       Operation::openai_chat, ""},
      {"POST", "/v1/nonsense", "", none, not_found, Format::openai, Operation::openai_chat, ""},
      {"POST", "/", "", none, not_found, Format::openai, Operation::openai_chat, ""},
      {"HEAD", "/api/hello", "", claude, not_found, Format::claude, Operation::openai_chat, ""},
      {"POST", "/v1/messages", "beta=true", none, ok, Format::claude, Operation::claude_messages,
       ""},
      {"POST", "/claude/v1/messages", "", none, ok, Format::claude, Operation::claude_messages, ""},
      {"POST", "/v1/messages/count_tokens", "beta=true", none, ok, Format::claude,
       Operation::claude_count_tokens, ""},
      {"POST", "/claude/v1/messages/count_tokens", "", none, ok, Format::claude,
       Operation::claude_count_tokens, ""},
      {"POST", "/v1/messages/batches", "", none, not_offered, Format::claude,
       Operation::openai_chat, ""},
      {"GET", "/v1/models", "", none, ok, Format::openai, Operation::list_models, ""},
      {"GET", "/v1/models", "limit=1000", claude, ok, Format::claude, Operation::list_models, ""},
      {"GET", "/v1/models", "", claude_key, ok, Format::claude, Operation::list_models, ""},
      {"GET", "/v1/models", "", google, ok, Format::gemini, Operation::list_models, ""},
      {"GET", "/v1/models", "key=abc", none, ok, Format::gemini, Operation::list_models, ""},
      {"GET", "/v1/models/org/m%31", "", none, ok, Format::openai, Operation::get_model, "org/m1"},
      {"DELETE", "/v1/models/m", "", none, method_not_allowed, Format::openai, Operation::get_model,
       "m"},
      {"GET", "/claude/v1/models", "", none, ok, Format::claude, Operation::list_models, ""},
      {"GET", "/claude/v1/models/claude-x", "", none, ok, Format::claude, Operation::get_model,
       "claude-x"},
      {"GET", "/v1beta/models", "pageSize=5", none, ok, Format::gemini, Operation::list_models, ""},
      {"GET", "/gemini/v1beta/models/gemini-x", "", none, ok, Format::gemini, Operation::get_model,
       "gemini-x"},
      {"POST", "/v1beta/models/gemini-x:generateContent", "", none, ok, Format::gemini,
       Operation::gemini_generate, "gemini-x"},
      {"POST", "/v1/models/gemini-x:generateContent", "", none, ok, Format::gemini,
       Operation::gemini_generate, "gemini-x"},
      {"POST", "/gemini/v1/models/a/b%3AstreamGenerateContent", "alt=sse", none, ok, Format::gemini,
       Operation::gemini_stream_generate, "a/b", true, false},
      {"POST", "/v1beta/models/g:streamGenerateContent", "key=x", none, ok, Format::gemini,
       Operation::gemini_stream_generate, "g", true, true},
      {"POST", "/v1beta/models/g%3acountTokens", "", none, ok, Format::gemini,
       Operation::gemini_count_tokens, "g"},
      {"POST", "/v1beta/models/g:embedContent", "", none, ok, Format::gemini,
       Operation::gemini_embed, "g"},
      {"POST", "/v1beta/models/g:batchEmbedContents", "", none, not_offered, Format::gemini,
       Operation::openai_chat, ""},
      {"POST", "/v1beta/tunedModels/t:generateContent", "", none, ok, Format::gemini,
       Operation::gemini_generate, "tunedModels/t"},
      {"GET", "/v1beta/models/g:generateContent", "", none, method_not_allowed, Format::gemini,
       Operation::gemini_generate, "g"},
      {"POST", "/v1beta/models/:generateContent", "", none, bad_target, Format::gemini,
       Operation::gemini_generate, ""},
      {"POST", "/v1beta/models/g%zz:generateContent", "", none, bad_target, Format::gemini,
       Operation::openai_chat, ""},
      {"POST", "/v1beta/models/g%00:generateContent", "", none, bad_target, Format::gemini,
       Operation::openai_chat, ""},
      {"POST", "/v1beta/cachedContents", "", none, not_offered, Format::gemini,
       Operation::openai_chat, ""},
      {"POST", "/gemini/", "", none, not_found, Format::gemini, Operation::openai_chat, ""},
  };
  for (const RouteCase& c : cases) {
    SCOPED_TRACE(std::string(c.method) + " " + std::string(c.path) + "?" + std::string(c.query));
    const Route got = route(c.method, c.path, c.query, c.headers);
    EXPECT_EQ(got.verdict, c.verdict);
    EXPECT_EQ(got.format, c.format);
    if (c.verdict == not_found || c.verdict == not_offered || c.verdict == bad_target) continue;
    EXPECT_EQ(got.operation, c.operation);
    EXPECT_EQ(got.model, c.model);
    EXPECT_EQ(got.stream, c.stream);
    EXPECT_EQ(got.json_array, c.json_array);
  }
}

TEST(Route, KnowsWhatAKeyMayAskAboutItsAccount) {
  const AuthHeaders none{};
  const AuthHeaders claude{.anthropic_version = "2023-06-01"};
  const std::string id(32, 'a');
  const std::string request = "/v1/sluice/requests/" + id;
  const RouteCase cases[] = {
      {"GET", "/v1/sluice/balance", "", none, ok, Format::openai, Operation::account_balance, ""},
      {"GET", "/v1/sluice/balance", "", claude, ok, Format::claude, Operation::account_balance, ""},
      {"POST", "/v1/sluice/balance", "", none, method_not_allowed, Format::openai,
       Operation::account_balance, ""},
      {"GET", request, "", none, ok, Format::openai, Operation::account_request, id},
      {"GET", "/v1/sluice/requests/../balance", "", none, bad_target, Format::openai,
       Operation::account_request, ""},
      {"GET", "/v1/sluice/requests/", "", none, bad_target, Format::openai,
       Operation::account_request, ""},
      {"GET", "/v1/sluice/nonsense", "", none, not_found, Format::openai, Operation::openai_chat,
       ""},
      {"GET", "/dashboard/billing/subscription", "", none, ok, Format::openai,
       Operation::billing_subscription, ""},
      {"GET", "/v1/dashboard/billing/usage", "start_date=2026-01-01", none, ok, Format::openai,
       Operation::billing_usage, ""},
      {"GET", "/dashboard/billing/credit_grants", "", none, ok, Format::openai,
       Operation::billing_grants, ""},
      {"GET", "/dashboard/billing/invoices", "", none, not_offered, Format::openai,
       Operation::openai_chat, ""},
  };
  for (const RouteCase& c : cases) {
    SCOPED_TRACE(std::string(c.method) + " " + std::string(c.path));
    const Route got = route(c.method, c.path, c.query, c.headers);
    EXPECT_EQ(got.verdict, c.verdict);
    EXPECT_EQ(got.format, c.format);
    if (c.verdict != ok) continue;
    EXPECT_EQ(got.operation, c.operation);
    EXPECT_EQ(got.model, c.model);
    EXPECT_TRUE(is_account(got.operation) && !is_billed(got.operation));
  }
}

TEST(Route, RefusesAModelNameThatIsTooLong) {
  const std::string path =
      "/v1beta/models/" + std::string(kMaxModelName + 1, 'm') + ":generateContent";
  EXPECT_EQ(route("POST", path, "", {}).verdict, bad_target);
}

TEST(ApiKey, TakesTheFirstThatIsPresent) {
  EXPECT_EQ(
      find_api_key({.authorization = "Bearer b", .x_api_key = "x", .x_goog_api_key = "g"}, "key=q"),
      "x");
  EXPECT_EQ(find_api_key({.authorization = "bearer  b ", .x_goog_api_key = "g"}, "key=q"), "b");
  EXPECT_EQ(find_api_key({.authorization = "Basic b", .x_goog_api_key = "g"}, "key=q"), "g");
  EXPECT_EQ(find_api_key({.authorization = "Bearer "}, "alt=sse&key=q"), "q");
  EXPECT_EQ(find_api_key({.api_key = "azure"}, "keys=q&monkey=r"), "azure");
  EXPECT_EQ(find_api_key({}, ""), "");
}

TEST(UpstreamTarget, JoinsBaseOperationAndQueryWithoutCredentials) {
  struct Case {
    UpstreamTarget target;
    std::string_view expected;
  };
  const Case cases[] = {
      {{Operation::openai_chat, "/v1", "", ""}, "/v1/chat/completions"},
      {{Operation::openai_chat, "/api/paas/v4/", "", "key=secret"},
       "/api/paas/v4/chat/completions"},
      {{Operation::openai_responses, "/v1", "", ""}, "/v1/responses"},
      {{Operation::claude_messages, "", "", "beta=true"}, "/v1/messages?beta=true"},
      {{Operation::claude_count_tokens, "/anthropic", "", "a=1&Key=s&b=2"},
       "/anthropic/v1/messages/count_tokens?a=1&b=2"},
      {{Operation::gemini_stream_generate, "/v1beta", "gemini-x", "alt=sse&key=s"},
       "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"},
      {{Operation::gemini_generate, "/v1beta", "tunedModels/t 1?", "k%65y=s"},
       "/v1beta/tunedModels/t%201%3F:generateContent"},
      {{Operation::gemini_embed, "/v1beta", "models/e", ""}, "/v1beta/models/e:embedContent"},
  };
  for (const Case& c : cases) {
    std::array<char, 256> out{};
    const auto size = upstream_target(c.target, out);
    ASSERT_TRUE(size.has_value());
    EXPECT_EQ(std::string_view(out.data(), *size), c.expected);
    std::array<char, 10> small{};
    EXPECT_EQ(upstream_target(c.target, small).error().code, Errc::too_large);
  }
  std::array<char, 64> out{};
  EXPECT_EQ(upstream_target({.operation = Operation::list_models}, out).error().code,
            Errc::unsupported);
}

}  // namespace
}  // namespace sluice::dialect
