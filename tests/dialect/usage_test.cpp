#include <gtest/gtest.h>

#include <string>

#include "meter_observation.hpp"

namespace sluice::dialect {
namespace {

using enum Operation;

struct UsageCase {
  const char* name;
  Operation operation;
  std::string_view body;
  Quirks quirks;
  Tokens input, cache_read, write_short, write_long, output;
  std::uint16_t doubts = 0;
};

/// The body's usage, fed whole and one byte at a time.
Usage usage_of(Operation operation, std::string_view body, const Quirks& quirks) {
  BodyMeter whole(operation, quirks);
  whole.feed(body);
  EXPECT_TRUE(whole.complete()) << body;
  BodyMeter pieces(operation, quirks);
  for (const char c : body) pieces.feed({&c, 1});
  EXPECT_TRUE(pieces.complete());
  const Usage a = whole.usage();
  const Usage b = pieces.usage();
  EXPECT_EQ(a.input, b.input);
  EXPECT_EQ(a.cache_read, b.cache_read);
  EXPECT_EQ(a.output, b.output);
  EXPECT_EQ(a.doubts, b.doubts);
  EXPECT_EQ(whole.counted_output(), pieces.counted_output());
  return a;
}

constexpr std::uint16_t doubt(UsageDoubt bit) { return static_cast<std::uint16_t>(bit); }

TEST(Usage, IsNormalisedByProvider) {
  const Quirks xai{.reasoning_outside_completion = true};
  const UsageCase cases[] = {
      {"OpenAI",
       openai_chat,
       R"({"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":20,"cache_write_tokens":10},"completion_tokens_details":{"reasoning_tokens":25}}})",
       {},
       70,
       20,
       10,
       0,
       30},
      {"OpenAI embeddings",
       openai_embeddings,
       R"({"object":"list","data":[{"embedding":[0.1,-2]}],"usage":{"prompt_tokens":8,"total_tokens":8}})",
       {},
       8,
       0,
       0,
       0,
       0},
      {"Responses",
       openai_responses,
       R"({"object":"response","output":[],"usage":{"input_tokens":50,"input_tokens_details":{"cached_tokens":10,"cache_write_tokens":8,"cache_write_tokens_details":{"ttl_30m_tokens":3,"ttl_12h_tokens":5}},"output_tokens":9,"total_tokens":59}})",
       {},
       32,
       10,
       3,
       5,
       9},
      {"xAI, flagged", openai_chat,
       R"({"usage":{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":40}}})",
       xai, 10, 0, 0, 0, 45},
      {"xAI, by its total",
       openai_chat,
       R"({"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":55,"completion_tokens_details":{"reasoning_tokens":40}}})",
       {},
       10,
       0,
       0,
       0,
       45},
      {"xAI, more cached than prompt",
       openai_chat,
       R"({"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}})",
       {},
       10,
       40,
       0,
       0,
       5,
       doubt(UsageDoubt::inconsistent)},
      {"Kimi in the choice",
       openai_chat,
       R"({"choices":[{"finish_reason":"stop","usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cached_tokens":4}}]})",
       {},
       6,
       4,
       0,
       0,
       5},
      {"DeepSeek",
       openai_chat,
       R"({"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":7,"prompt_cache_miss_tokens":3}})",
       {},
       3,
       7,
       0,
       0,
       5},
      {"Mistral, one spelling",
       openai_chat,
       R"({"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_token_details":{"cached_tokens":4}}})",
       {},
       6,
       4,
       0,
       0,
       5},
      {"Mistral, another",
       openai_chat,
       R"({"usage":{"prompt_tokens":10,"completion_tokens":5,"num_cached_tokens":4}})",
       {},
       6,
       4,
       0,
       0,
       5},
      {"Qwen",
       openai_chat,
       R"({"usage":{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40,"cache_creation_input_tokens":30,"cache_type":"ephemeral"}}})",
       {},
       30,
       40,
       30,
       0,
       5},
      {"Claude",
       claude_messages,
       R"({"type":"message","content":[{"type":"text","text":"x"}],"usage":{"input_tokens":12,"cache_creation_input_tokens":30,"cache_read_input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":30}})",
       {},
       12,
       4,
       10,
       20,
       30},
      {"Claude without the split",
       claude_messages,
       R"({"content":[],"usage":{"input_tokens":12,"cache_creation_input_tokens":30,"output_tokens":30}})",
       {},
       12,
       0,
       30,
       0,
       30},
      {"Claude count_tokens", claude_count_tokens, R"({"input_tokens":77})", {}, 77, 0, 0, 0, 0},
      {"Gemini",
       gemini_generate,
       R"({"candidates":[],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":5,"thoughtsTokenCount":20,"toolUsePromptTokenCount":7,"totalTokenCount":42}})",
       {},
       13,
       4,
       0,
       0,
       25},
      {"Gemini with unnamed thoughts",
       gemini_generate,
       R"({"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":35}})",
       {},
       10,
       0,
       0,
       0,
       25,
       doubt(UsageDoubt::inconsistent)},
      {"Gemini countTokens", gemini_count_tokens, R"({"totalTokens":31})", {}, 31, 0, 0, 0, 0},
  };
  for (const UsageCase& c : cases) {
    SCOPED_TRACE(c.name);
    const Usage usage = usage_of(c.operation, c.body, c.quirks);
    EXPECT_TRUE(usage.reported);
    EXPECT_EQ(usage.input, c.input);
    EXPECT_EQ(usage.cache_read, c.cache_read);
    EXPECT_EQ(usage.cache_write_short, c.write_short);
    EXPECT_EQ(usage.cache_write_long, c.write_long);
    EXPECT_EQ(usage.output, c.output);
    EXPECT_EQ(usage.doubts, c.doubts);
  }
}

struct HostileCase {
  std::string_view usage;
  std::uint16_t doubts;
  bool reported;
  Tokens input, output;
};

TEST(Usage, NeverBecomesACredit) {  // S25
  const HostileCase cases[] = {
      {R"({"prompt_tokens":-5,"completion_tokens":-9})", doubt(UsageDoubt::negative), true, 0, 0},
      {R"({"prompt_tokens":-9223372036854775808,"completion_tokens":1})",
       doubt(UsageDoubt::negative), true, 0, 1},
      {R"({"prompt_tokens":9223372036854775808,"completion_tokens":1})", doubt(UsageDoubt::absurd),
       true, kMaxReportedTokens, 1},
      {R"({"prompt_tokens":99999999999999999999999999,"completion_tokens":1})",
       doubt(UsageDoubt::absurd), true, kMaxReportedTokens, 1},
      {R"({"prompt_tokens":7.9,"completion_tokens":1e3})", doubt(UsageDoubt::not_integer), true, 7,
       1},
      {R"({"prompt_tokens":"7","completion_tokens":1})", doubt(UsageDoubt::not_number), true, 0, 1},
      {R"({"prompt_tokens":true,"completion_tokens":[1]})", doubt(UsageDoubt::not_number), false, 0,
       0},
      {R"({"prompt_tokens":null,"completion_tokens":null})", 0, false, 0, 0},
      {R"({})", 0, false, 0, 0},
      {R"({"prompt_tokens":0,"completion_tokens":0,"total_tokens":0})", 0, true, 0, 0},
      {R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":3})",
       doubt(UsageDoubt::inconsistent), true, 10, 5},
      {R"({"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-4}})",
       doubt(UsageDoubt::negative), true, 10, 5},
      {R"({"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":9}})",
       doubt(UsageDoubt::inconsistent), true, 0, 5},
  };
  for (const HostileCase& c : cases) {
    const Usage usage = usage_of(openai_chat, "{\"usage\":" + std::string(c.usage) + "}", {});
    EXPECT_EQ(usage.doubts, c.doubts) << c.usage;
    EXPECT_EQ(usage.reported, c.reported) << c.usage;
    EXPECT_EQ(usage.input, c.input) << c.usage;
    EXPECT_EQ(usage.output, c.output) << c.usage;
    EXPECT_GE(usage.cache_read, 0);
  }
}

std::string chunk(std::string_view usage) {
  return "data: {\"choices\":[],\"usage\":" + std::string(usage) + "}\n\n";
}

TEST(Usage, OverwritesAndNeverAdds) {  // S26
  const std::string once = chunk(R"({"prompt_tokens":10,"completion_tokens":5})");
  Observation seen = observe_all_cuts(openai_chat, {}, once + once + "data: [DONE]\n\n");
  EXPECT_EQ(seen.usage.prompt(), 10);
  EXPECT_EQ(seen.usage.output, 5);
  EXPECT_EQ(seen.usage.doubts, 0);
  seen = observe_all_cuts(openai_chat, {},
                          once + chunk(R"({"prompt_tokens":null,"completion_tokens":9})"));
  EXPECT_EQ(seen.usage.prompt(), 10);
  EXPECT_EQ(seen.usage.output, 9);
  seen = observe_all_cuts(openai_chat, {},
                          once + chunk(R"({"prompt_tokens":10,"completion_tokens":2})"));
  EXPECT_EQ(seen.usage.output, 2);
  EXPECT_TRUE(seen.usage.has(UsageDoubt::shrank));
  seen = observe_all_cuts(openai_chat, {}, "data: [DONE]\n\n" + once);
  EXPECT_TRUE(seen.usage.has(UsageDoubt::repeated));
}

TEST(Usage, OfATornReportIsNotReported) {
  const std::string whole = chunk(R"({"prompt_tokens":10,"completion_tokens":5})");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Usage usage = observe(openai_chat, {}, whole.substr(0, size)).usage;
    if (usage.reported) {
      EXPECT_EQ(usage.output, 5) << size;
    } else {
      EXPECT_EQ(usage.output, 0) << size;
    }
  }
}

TEST(BodyMeter, EstimatesTextWhereUsageIsMissing) {
  const std::pair<Operation, std::string_view> bodies[] = {
      {openai_chat,
       R"({"choices":[{"message":{"role":"assistant","content":"four words of text","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]})"},
      {openai_completions, R"({"choices":[{"text":"four words of text"}]})"},
      {claude_messages,
       R"({"content":[{"type":"text","text":"four words"},{"type":"tool_use","name":"f","input":{"k":"of text"}}]})"},
      {gemini_generate,
       R"({"candidates":[{"content":{"parts":[{"text":"four words of text"}]}}]})"},
      {openai_responses,
       R"({"text":{"format":{"type":"text"}},"output":[{"type":"message","content":[{"type":"output_text","text":"four words of text"}]}]})"},
  };
  for (const auto& [operation, body] : bodies) {
    BodyMeter meter(operation);
    meter.feed(body);
    EXPECT_FALSE(meter.usage().reported);
    EXPECT_GE(meter.counted_output(), 4) << body;
    EXPECT_LE(meter.counted_output(), 16) << body;
  }
}

TEST(BodyMeter, IgnoresBlankLinesOfAQueue) {
  BodyMeter meter(openai_chat);
  meter.feed("\n\n");
  EXPECT_FALSE(meter.started());
  meter.feed("\n{\"usage\":{\"prompt_tokens\":1,");
  EXPECT_TRUE(meter.started());
  EXPECT_FALSE(meter.complete());
  meter.feed("\"completion_tokens\":2}}\n");
  EXPECT_TRUE(meter.complete());
  EXPECT_EQ(meter.usage().output, 2);
  meter.feed("x");
  EXPECT_TRUE(meter.malformed());
}

TEST(BodyMeter, SeesErrorsThatComeWithStatus200) {
  const std::pair<Operation, std::string_view> bodies[] = {
      {openai_chat, R"({"error":{"message":"m","type":"t"}})"},
      {openai_chat, R"({"code":"c","error":"text"})"},
      {openai_chat, R"({"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}})"},
      {openai_chat, R"({"object":"error","message":"m"})"},
      {claude_messages, R"({"type":"error","error":{"type":"api_error"}})"},
      {gemini_stream_generate, R"([{"error":{"code":400,"message":"m"}}])"},
      {openai_responses, R"({"status":"failed","error":{"code":"server_error","message":"m"}})"},
  };
  for (const auto& [operation, body] : bodies) {
    BodyMeter meter(operation);
    meter.feed(body);
    EXPECT_TRUE(meter.failed()) << body;
  }
  for (const std::string_view body :
       {R"({"error":null,"choices":[]})", R"({"base_resp":{"status_code":0,"status_msg":""}})"}) {
    BodyMeter meter(openai_chat);
    meter.feed(body);
    EXPECT_FALSE(meter.failed()) << body;
  }
}

}  // namespace
}  // namespace sluice::dialect
