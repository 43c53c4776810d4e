#include "presets_fixture.hpp"

#include "sluice/dialect/error_body.hpp"
#include "sluice/dialect/format.hpp"

namespace sluice::presets {
namespace {

TEST_F(PresetsTest, AllTenApplyAndApplyingAgainChangesNothing) {
  EXPECT_EQ(names(), (std::vector<std::string>{"anthropic", "deepseek", "gemini", "glm", "kimi",
                                               "minimax", "mistral", "openai", "qwen", "xai"}));
  apply_all();
  for (const std::string& name : names()) {
    EXPECT_EQ(apply(name), "");
    EXPECT_EQ(changes_, 0U) << name;
  }
  // The keys that are stored stay, also where the variables are gone.
  for (const char* variable : kVariables) unsetenv(variable);
  for (const std::string& name : names()) {
    EXPECT_EQ(apply(name), "");
    EXPECT_EQ(changes_, 0U) << name;
  }
}

TEST_F(PresetsTest, AKeyThatIsMissingIsNamed) {
  EXPECT_EQ(apply("deepseek"),
            "deepseek.toml:22: provider.key.secret_env: the variable DEEPSEEK_API_KEY is not set, "
            "and no key is stored yet");
  EXPECT_NE(apply("kimi").find("set MOONSHOT_API_KEY or MOONSHOT_CN_API_KEY"), std::string::npos);
  EXPECT_TRUE(ledger_->catalog().providers()->empty());
}

TEST_F(PresetsTest, OneRegionIsEnough) {
  setenv("MOONSHOT_CN_API_KEY", "sk-0123456789abcdef", 1);
  ASSERT_EQ(apply("kimi"), "");
  const auto built = catalog();
  ASSERT_NE(built, nullptr);
  EXPECT_TRUE(built->keys(*channel(*built, "kimi")).empty());
  EXPECT_EQ(built->keys(*channel(*built, "kimi-cn")).size(), 1U);
  EXPECT_EQ(built->text(channel(*built, "kimi-cn")->host), "api.moonshot.cn");
}

// Each model can be called in each format that it names, and has a price.
TEST_F(PresetsTest, EveryModelIsServedInItsFormatsAndPriced) {
  apply_all();
  const auto built = catalog();
  ASSERT_NE(built, nullptr);
  EXPECT_EQ(complaints_, std::vector<std::string>{});
  EXPECT_GT(built->models().size(), 90U);
  for (const state::ModelEntry& model : built->models()) {
    const std::string_view name = built->text(model.name);
    EXPECT_NE(built->price_of(model, kNow), nullptr) << name;
    EXPECT_FALSE(built->text(model.owner).empty()) << name;
    for (const auto format : {dialect::Format::openai, dialect::Format::responses,
                              dialect::Format::claude, dialect::Format::gemini}) {
      const auto number = static_cast<std::uint8_t>(format);
      if ((model.formats & (1U << number)) == 0) continue;
      // Responses has no provider format of its own in the files: Chat's base URL serves it.
      const auto serves = static_cast<std::uint8_t>(
          format == dialect::Format::responses ? dialect::Format::openai : format);
      bool served = false;
      for (const state::CandidateEntry& candidate : built->candidates(model))
        served |= built->channel(candidate).format == serves;
      EXPECT_TRUE(served) << name << " " << int{number};
    }
  }
}

TEST_F(PresetsTest, QuirksReachTheCatalog) {
  apply_all();
  const auto built = catalog();
  ASSERT_NE(built, nullptr);
  EXPECT_EQ(channel(*built, "xai")->quirks, state::kQuirkReasoningOutside);
  EXPECT_EQ(channel(*built, "mistral")->quirks,
            state::kQuirkNoStreamOptions | state::kQuirkCapIsMaxTokens);
  EXPECT_EQ(channel(*built, "openai")->quirks, 0U);
  EXPECT_EQ(built->text(channel(*built, "glm")->base_path), "/api/paas/v4");
  EXPECT_EQ(channel(*built, "glm-claude")->auth, state::Auth::bearer);
  EXPECT_EQ(channel(*built, "anthropic")->auth, state::Auth::x_api_key);
  EXPECT_EQ(channel(*built, "gemini")->auth, state::Auth::x_goog_api_key);
}

struct ErrorCase {
  std::string_view channel;
  int status;
  std::string_view body;
  std::string_view expected;
};

// What each provider says, and what it means there: 1001 and 1002 are a key at one, load and rate
// at another.
TEST_F(PresetsTest, ErrorsHaveTheClassOfTheirProvider) {
  const ErrorCase cases[] = {
      {"openai", 429,
       R"({"error":{"type":"insufficient_quota","code":"credit_balance_exhausted"}})", "no_money"},
      {"openai", 429, R"({"error":{"type":"tokens","code":"rate_limit_exceeded"}})", "rate"},
      {"openai", 401, R"({"error":{"type":"invalid_request_error","code":"invalid_api_key"}})",
       "key_bad"},
      {"anthropic", 402, R"({"type":"error","error":{"type":"billing_error","message":"x"}})",
       "no_money"},
      {"anthropic", 529, R"({"type":"error","error":{"type":"overloaded_error","message":"x"}})",
       "overloaded"},
      {"anthropic", 400,
       R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}})",
       "caller"},
      {"gemini", 400,
       R"({"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}})",
       "key_bad"},
      {"gemini", 429, R"({"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x"}})",
       "rate"},
      {"xai", 200, R"({"code":"x","error":"This model's maximum prompt length is 5"})", "caller"},
      {"xai", 429, R"({"code":"x","error":"Too many requests"})", "rate"},
      {"mistral", 422, R"({"object":"error","message":"extra","type":"invalid_request"})",
       "caller"},
      {"mistral", 402, R"({"message":"payment required","request_id":"r"})", "no_money"},
      {"qwen", 400, R"({"error":{"code":"Arrearage","message":"in debt"},"request_id":"r"})",
       "no_money"},
      {"qwen", 429, R"({"error":{"code":"insufficient_quota","message":"tokens a minute"}})",
       "rate"},
      {"qwen", 400, R"({"error":{"code":"data_inspection_failed","message":"x"}})", "caller"},
      {"deepseek", 402,
       R"({"error":{"message":"Insufficient Balance","code":"invalid_request_error"}})",
       "no_money"},
      {"deepseek", 503, R"({"error":{"message":"busy","type":"server_error","code":503}})",
       "overloaded"},
      {"kimi", 429, R"({"error":{"type":"exceeded_current_quota_error","message":"x"}})",
       "no_money"},
      {"kimi-claude", 429, R"({"error":{"type":"engine_overloaded_error","message":"x"}})",
       "overloaded"},
      {"kimi", 429, R"({"error":{"type":"rate_limit_reached_error","message":"x"}})", "rate"},
      {"glm", 429, R"({"error":{"code":"1113","message":"arrears"}})", "no_money"},
      {"glm", 401, R"({"error":{"code":"1002","message":"token invalid"}})", "key_bad"},
      {"glm", 429, R"({"error":{"code":"1302","message":"concurrency"}})", "rate"},
      {"glm", 429, R"({"error":{"code":"1305","message":"flow"}})", "overloaded"},
      {"glm", 400, R"({"error":{"code":"1261","message":"too long"}})", "caller"},
      {"minimax", 200, R"({"base_resp":{"status_code":1002,"status_msg":"slow"}})", "rate"},
      {"minimax", 200, R"({"base_resp":{"status_code":1001,"status_msg":"timeout"}})",
       "overloaded"},
      {"minimax", 429,
       R"j({"type":"error","error":{"type":"insufficient_balance_error","message":"insufficient balance (1008)"}})j",
       "no_money"},
      {"minimax-claude", 500,
       R"j({"type":"error","error":{"type":"api_error","message":"insufficient balance (1008)"}})j",
       "no_money"},
      {"minimax", 200, R"({"base_resp":{"status_code":2049,"status_msg":"invalid key"}})",
       "key_bad"},
      {"minimax-cn", 200, R"({"base_resp":{"status_code":1027,"status_msg":"sensitive"}})",
       "caller"},
  };
  apply_all();
  const auto built = catalog();
  ASSERT_NE(built, nullptr);
  for (const ErrorCase& c : cases) {
    const state::ChannelEntry* entry = channel(*built, c.channel);
    ASSERT_NE(entry, nullptr);
    const dialect::ErrorTable table(built->text(entry->error_classes));
    const auto found = dialect::classify_upstream_error(static_cast<dialect::Format>(entry->format),
                                                        c.status, c.body, table);
    EXPECT_EQ(dialect::to_string(found), c.expected)
        << c.channel << " " << c.status << " " << c.body;
  }
}

// The names that files give classes are the dialect's own.
TEST(ErrorClassNames, AreThoseOfTheDialect) {
  using dialect::ErrorClass;
  std::vector<std::string_view> own;
  for (const auto error_class : {ErrorClass::key_bad, ErrorClass::no_money, ErrorClass::rate,
                                 ErrorClass::overloaded, ErrorClass::caller}) {
    own.push_back(dialect::to_string(error_class));
  }
  EXPECT_EQ(own, std::vector<std::string_view>(ledger::kErrorClassNames.begin(),
                                               ledger::kErrorClassNames.end()));
}

}  // namespace
}  // namespace sluice::presets
