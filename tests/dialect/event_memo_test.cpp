// Events that repeat each other are read the short way: that must never be seen in what the meter
// says.
#include <gtest/gtest.h>

#include "meter_observation.hpp"

namespace sluice::dialect {
namespace {

using enum Operation;

struct Template {
  std::string before, after;
};

const std::string kTexts[] = {"",          "x",
                              " together", "say \\\"hi\\\"",
                              "\\n\\n",    "\\u4f60\\u597d",
                              "好",        "a long text that is more than one block of bytes",
                              "{}"};

std::vector<Template> templates(Operation operation) {
  switch (operation) {
    case openai_chat:
      return {
          {"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
           "\"},\"finish_reason\":null}],\"usage\":null}\n\n"},
          {"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
           "\"},\"finish_reason\":null}],\"obfuscation\":\"q7\"}\n\n"},
          {"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"",
           "\",\"reasoning_content\":\"x\"}}]}\n\n"},
          {"data: {\"id\":\"c\",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"",
           "\"},\"finish_reason\":\"stop\"}]}\n\n"},
          {"data: "
           "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"function\":{"
           "\"arguments\":\"",
           "\"}}]}}]}\n\n"},
          {"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
           "\"}}],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n"},
          {"data: {\"usage\":{\"prompt_tokens\":3},\"choices\":[{\"delta\":{\"content\":\"",
           "\"}}]}\n\n"},
          {"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"", "\"},]}\n\n"},
          {"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
           "\"}}],\"error\":{\"message\":\"m\"}}\n\n"},
          {"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}\n\n: ",
           "\n\n"}};
    case claude_messages:
      return {
          {"event: content_block_delta\ndata: "
           "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
           "\"text\":\"",
           "\"}}\n\n"},
          {"data: "
           "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
           "\"partial_json\":\"",
           "\"}}\n\n"},
          {"data: "
           "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"name\":\"",
           "\",\"input\":{\"a\":[1,22]}}}\n\n"},
          {"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"text\":\"",
           "\"},\"usage\":{\"output_tokens\":7}}\n\n"}};
    case gemini_stream_generate:
      return {
          {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"",
           "\"}],\"role\":\"model\"}}],\"usageMetadata\":{\"candidatesTokenCount\":3}}\r\n\r\n"},
          {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"",
           "\"}],\"role\":\"model\"}}]}\r\n\r\n"},
          {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"",
           "\",\"args\":{\"k\":\"v\"}}}]}}]}\r\n\r\n"}};
    default:
      return {{"data: {\"type\":\"response.output_text.delta\",\"delta\":\"",
               "\",\"logprobs\":[]}\n\n"},
              {"data: {\"type\":\"response.output_text.done\",\"text\":\"", "\"}\n\n"},
              {"data: {\"type\":\"response.completed\",\"delta\":\"",
               "\",\"response\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n"}};
  }
}

TEST(EventMemo, IsNeverSeen) {
  std::mt19937 random(42);
  for (const Operation operation :
       {openai_chat, claude_messages, gemini_stream_generate, openai_responses}) {
    const std::vector<Template> kinds = templates(operation);
    for (int round = 0; round < 400; ++round) {
      std::string stream;
      for (int run = 0; run < 6; ++run) {
        const Template& kind = kinds[random() % kinds.size()];
        for (unsigned i = 0; i <= random() % 5; ++i)
          stream += kind.before + kTexts[random() % std::size(kTexts)] + kind.after;
      }
      if (random() % 2 == 0) stream[random() % stream.size()] = "\"\\{}[],:x\n0"[random() % 11];
      for (const bool withhold : {false, true}) {
        const StreamOptions options{.withhold_usage = withhold};
        std::vector<std::size_t> each;
        for (std::size_t i = 1; i < stream.size(); ++i) each.push_back(i);
        std::vector<std::size_t> some;
        for (std::size_t at = 1 + random() % 300; at < stream.size(); at += 1 + random() % 500)
          some.push_back(at);
        const std::string by_byte = observe(operation, options, stream, each).text();
        ASSERT_EQ(observe(operation, options, stream).text(), by_byte) << stream;
        ASSERT_EQ(observe(operation, options, stream, some).text(), by_byte) << stream;
      }
    }
  }
}

TEST(EventMemo, CountsRepeatedTextEachTime) {
  const Template kind = templates(openai_chat)[0];
  StreamMeter meter(openai_chat, {});
  Tokens before = 0;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(meter.feed(kind.before + " word" + kind.after).semantic);
    EXPECT_GT(meter.counted_output(), before);
    before = meter.counted_output();
    EXPECT_FALSE(meter.feed(kind.before + kind.after).semantic);
  }
  EXPECT_EQ(meter.semantic_events(), 100U);
  EXPECT_EQ(meter.malformed_events(), 0U);
}

}  // namespace
}  // namespace sluice::dialect
