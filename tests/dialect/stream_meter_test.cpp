#include "sluice/dialect/stream_meter.hpp"

#include <gtest/gtest.h>

#include "meter_observation.hpp"

namespace sluice::dialect {
namespace {

using enum Operation;

constexpr std::string_view kChat =
    "data: "
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":"
    "[{\"index\":0,"
    "\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"finish_reason\":null}],"
    "\"usage\":null}\n\n"
    ": keep-alive\n\n"
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi "
    "\xe5\xa5\xbd\xf0\x9f\x99\x82\"},\"finish_reason\":null}],"
    "\"usage\":null,\"obfuscation\":\"x9\"}\n\n"
    "data: "
    "{\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":"
    "\"call_1\",\"type\":\"function\","
    "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\n"
    "data: "
    "{\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":"
    "{\"arguments\":\"{\\\"a\\\":1}\"}}]},"
    "\"finish_reason\":null}]}\n\n"
    "data: "
    "{\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
    "data: "
    "{\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":7,\"total_"
    "tokens\":27,"
    "\"prompt_tokens_details\":{\"cached_tokens\":5,\"cache_write_tokens\":3},\"completion_tokens_"
    "details\":{\"reasoning_tokens\":2}}}\n\n"
    "data: [DONE]\n\n";

TEST(ChatStream, IsMeteredTheSameHoweverItIsCut) {
  const Observation seen = observe_all_cuts(openai_chat, {}, kChat);
  EXPECT_EQ(seen.sent, kChat);
  EXPECT_EQ(seen.end, StreamEnd::clean);
  EXPECT_TRUE(seen.finish_reason);
  EXPECT_EQ(seen.events, 7U);
  EXPECT_EQ(seen.semantic, 5U);  // not the role, not [DONE]
  EXPECT_EQ(seen.malformed, 0U);
  EXPECT_TRUE(seen.usage.reported);
  EXPECT_TRUE(seen.usage.has_output);
  EXPECT_EQ(seen.usage.input, 12);
  EXPECT_EQ(seen.usage.cache_read, 5);
  EXPECT_EQ(seen.usage.cache_write_short, 3);
  EXPECT_EQ(seen.usage.output, 7);
  EXPECT_EQ(seen.usage.reasoning, 2);
  EXPECT_EQ(seen.usage.doubts, 0);
  EXPECT_GE(seen.counted, 5);
}

TEST(ChatStream, MayEndItsLinesInAnyWay) {
  const Observation lf = observe(openai_chat, {}, kChat);
  for (const std::string& stream :
       {with_crlf(kChat), with_cr(std::string(kChat)), "\xef\xbb\xbf" + std::string(kChat)}) {
    Observation other = observe_all_cuts(openai_chat, {}, stream);
    EXPECT_EQ(other.sent, stream);
    other.sent = lf.sent;
    EXPECT_EQ(other.text(), lf.text());
  }
}

constexpr std::string_view kClaude =
    "event: message_start\ndata: "
    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":"
    "\"assistant\","
    "\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":12,\"cache_"
    "creation_input_tokens\":30,"
    "\"cache_read_input_tokens\":4,\"cache_creation\":{\"ephemeral_5m_input_tokens\":10,"
    "\"ephemeral_1h_input_tokens\":20},\"output_tokens\":1}}}\n\n"
    "event: ping\ndata: {\"type\":\"ping\"}\n\n"
    "event: content_block_start\ndata: "
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\","
    "\"thinking\":\"\",\"signature\":\"\"}}\n\n"
    "event: content_block_delta\ndata: "
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
    "\"thinking\":\"hm \xe5\xa5\xbd\"}}\n\n"
    "event: content_block_delta\ndata: "
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\","
    "\"signature\":\"Eo==\"}}\n\n"
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
    "event: content_block_start\ndata: "
    "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":"
    "\"toolu_1\",\"name\":\"f\",\"input\":{}}}\n\n"
    "event: content_block_delta\ndata: "
    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
    "\"partial_json\":\"{\\\"a\\\":1}\"}}\n\n"
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
    "event: message_delta\ndata: "
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},"
    "\"usage\":{\"input_tokens\":null,\"cache_read_input_tokens\":4,\"output_tokens\":30,\"server_"
    "tool_use\":{\"web_search_requests\":2}}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

TEST(ClaudeStream, IsMeteredTheSameHoweverItIsCut) {
  const Observation seen = observe_all_cuts(claude_messages, {}, kClaude);
  EXPECT_EQ(seen.end, StreamEnd::clean);
  EXPECT_EQ(seen.events, 11U);
  EXPECT_EQ(seen.semantic, 5U);  // thinking, signature, tool call, its arguments, message_delta
  EXPECT_EQ(seen.usage.input, 12);
  EXPECT_EQ(seen.usage.cache_read, 4);
  EXPECT_EQ(seen.usage.cache_write_short, 10);
  EXPECT_EQ(seen.usage.cache_write_long, 20);
  EXPECT_EQ(seen.usage.output, 30);
  EXPECT_EQ(seen.usage.web_searches, 2);
  EXPECT_TRUE(seen.usage.has_output);
  EXPECT_EQ(seen.usage.doubts, 0);
}

TEST(ClaudeStream, KnowsThatTheFirstOutputCountIsAPlaceholder) {
  const std::string_view cut = kClaude.substr(0, kClaude.find("event: message_delta"));
  const Observation seen = observe(claude_messages, {}, cut);
  EXPECT_EQ(seen.end, StreamEnd::truncated);
  EXPECT_TRUE(seen.usage.reported);
  EXPECT_FALSE(seen.usage.has_output);
  EXPECT_EQ(seen.usage.input, 12);
  EXPECT_GT(seen.counted, 3);
}

constexpr std::string_view kGemini =
    "data: "
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"think\",\"thought\":true}],\"role\":"
    "\"model\"},\"index\":0}],"
    "\"usageMetadata\":{\"promptTokenCount\":10,\"totalTokenCount\":10},\"modelVersion\":\"g\"}"
    "\r\n\r\n"
    "data: "
    "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":["
    "1,\"x\"]}},\"thoughtSignature\":\"b64\"}],"
    "\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":10,"
    "\"candidatesTokenCount\":2,\"thoughtsTokenCount\":20,\"totalTokenCount\":32}}\r\n\r\n"
    "data: "
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},"
    "\"finishReason\":\"STOP\",\"index\":0}],"
    "\"usageMetadata\":{\"promptTokenCount\":10,\"cachedContentTokenCount\":4,"
    "\"candidatesTokenCount\":5,\"thoughtsTokenCount\":20,"
    "\"toolUsePromptTokenCount\":7,\"totalTokenCount\":42}}\r\n\r\n";

TEST(GeminiStream, IsMeteredTheSameHoweverItIsCut) {
  const Observation seen = observe_all_cuts(gemini_stream_generate, {}, kGemini);
  EXPECT_EQ(seen.end, StreamEnd::clean);
  EXPECT_EQ(seen.events, 3U);
  EXPECT_EQ(seen.semantic, 3U);
  EXPECT_EQ(seen.usage.input, 13);
  EXPECT_EQ(seen.usage.cache_read, 4);
  EXPECT_EQ(seen.usage.output, 25);
  EXPECT_EQ(seen.usage.reasoning, 20);
  EXPECT_EQ(seen.usage.doubts, 0);
}

std::string gemini_array() {
  std::string out = "[";
  std::string_view rest = kGemini;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n\r\n");
    out += (out.size() > 1 ? "\n,\r\n" : "") + std::string(rest.substr(6, end - 6));
    rest.remove_prefix(end + 4);
  }
  return out + "\n]";
}

TEST(GeminiArrayStream, SaysTheSameAsSse) {
  const std::string stream = gemini_array();
  Observation array =
      observe_all_cuts(gemini_stream_generate, {.framing = Framing::json_array}, stream);
  EXPECT_EQ(array.sent, stream);
  array.sent = kGemini;
  EXPECT_EQ(array.text(), observe(gemini_stream_generate, {}, kGemini).text());
  StreamMeter meter(gemini_stream_generate, {.framing = Framing::json_array});
  EXPECT_TRUE(meter.at_boundary());
  EXPECT_FALSE(meter.feed(std::string_view(stream).substr(0, 20)).at_boundary);
  EXPECT_TRUE(
      meter.feed(std::string_view(stream).substr(20, stream.find("}\n,") - 19)).at_boundary);
}

constexpr std::string_view kResponses =
    "event: response.created\ndata: "
    "{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\","
    "\"status\":\"in_progress\","
    "\"error\":null,\"output\":[],\"text\":{\"format\":{\"type\":\"text\"}},\"usage\":null}}\n\n"
    "event: response.output_item.added\ndata: "
    "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"message\",\"content\":[]}}\n\n"
    "event: response.output_text.delta\ndata: "
    "{\"type\":\"response.output_text.delta\",\"delta\":\"Hello there\"}\n\n"
    "event: response.output_text.done\ndata: "
    "{\"type\":\"response.output_text.done\",\"text\":\"Hello there\"}\n\n"
    "event: response.output_item.added\ndata: "
    "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"function_call\",\"name\":\"f\"}}"
    "\n\n"
    "event: response.completed\ndata: "
    "{\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\","
    "\"error\":null,"
    "\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hello "
    "there\"}]}],"
    "\"usage\":{\"input_tokens\":50,\"input_tokens_details\":{\"cached_tokens\":10,\"cache_write_"
    "tokens\":8,"
    "\"cache_write_tokens_details\":{\"ttl_30m_tokens\":3,\"ttl_12h_tokens\":5}},\"output_tokens\":"
    "9,"
    "\"output_tokens_details\":{\"reasoning_tokens\":4},\"total_tokens\":59}}}\n\n";

TEST(ResponsesStream, IsMeteredTheSameHoweverItIsCut) {
  const Observation seen = observe_all_cuts(openai_responses, {}, kResponses);
  EXPECT_EQ(seen.end, StreamEnd::clean);
  EXPECT_EQ(seen.events, 6U);
  EXPECT_EQ(seen.semantic, 4U);
  EXPECT_EQ(seen.usage.input, 32);
  EXPECT_EQ(seen.usage.cache_read, 10);
  EXPECT_EQ(seen.usage.cache_write_short, 3);
  EXPECT_EQ(seen.usage.cache_write_long, 5);
  EXPECT_EQ(seen.usage.output, 9);
  EXPECT_EQ(seen.usage.reasoning, 4);
  EXPECT_LT(seen.counted, 6);  // the text is counted once
  EXPECT_GT(seen.counted, 1);
}

TEST(ResponsesStream, CountsBackendsThatSendNoDeltas) {
  const Observation seen = observe(openai_responses, {},
                                   "data: "
                                   "{\"type\":\"response.function_call_arguments.done\","
                                   "\"arguments\":\"{\\\"query\\\":\\\"weather\\\"}\"}\n\n");
  EXPECT_EQ(seen.semantic, 1U);
  EXPECT_GE(seen.counted, 4);
}

struct ErrorStream {
  Operation operation;
  std::string_view stream;
  std::string_view type, code, message;
  ErrorClass expected;
};

TEST(StreamErrors, AreSeenAndNeverCalledClean) {  // S05
  const ErrorStream cases[] = {
      {openai_chat,
       "data: {\"error\":{\"message\":\"quota "
       "\\u00fc\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"c\"}}\n\ndata: "
       "[DONE]\n\n",
       "insufficient_quota", "c", "quota \xc3\xbc", ErrorClass::no_money},
      {openai_chat,
       "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: "
       "{\"code\":\"bad\",\"error\":\"text only\"}\n\n",
       "", "bad", "text only", ErrorClass::unknown},
      {openai_chat, "event: error\ndata: {\"message\":\"m\"}\n\n", "", "", "m",
       ErrorClass::unknown},
      {openai_chat,
       "data: "
       "{\"object\":\"error\",\"message\":\"m\",\"type\":\"rate_limit_error\",\"code\":1300}\n\n",
       "rate_limit_error", "", "m", ErrorClass::rate},
      {claude_messages,
       "event: error\ndata: "
       "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}"
       "\n\n",
       "overloaded_error", "", "Overloaded", ErrorClass::overloaded},
      {openai_responses,
       "event: error\ndata: "
       "{\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}\n\n",
       "", "rate_limit_exceeded", "slow", ErrorClass::rate},
      {openai_responses,
       "event: response.failed\ndata: "
       "{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\","
       "\"message\":\"m\"}}}\n\n",
       "", "server_error", "m", ErrorClass::overloaded},
      {gemini_stream_generate,
       "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n",
       "UNAVAILABLE", "", "busy", ErrorClass::overloaded},
  };
  for (const ErrorStream& c : cases) {
    const Observation seen = observe_all_cuts(c.operation, {}, c.stream);
    EXPECT_EQ(seen.sent, c.stream);
    EXPECT_EQ(seen.end, StreamEnd::error) << c.stream;
    EXPECT_EQ(seen.error_type, c.type) << c.stream;
    EXPECT_EQ(seen.error_code, c.code) << c.stream;
    EXPECT_EQ(seen.error_message, c.message) << c.stream;
    StreamMeter meter(c.operation, {});
    meter.feed(c.stream);
    EXPECT_EQ(meter.error().classify(format_of(c.operation), 200), c.expected) << c.stream;
  }
  EXPECT_FALSE(observe(openai_chat, {}, "data: {\"error\":null,\"choices\":[]}\n\n").end ==
               StreamEnd::error);
}

TEST(StreamEnd, IsTruncatedWithoutTheFormatsEnd) {  // S06
  const std::pair<Operation, std::string_view> streams[] = {{openai_chat, kChat},
                                                            {claude_messages, kClaude},
                                                            {gemini_stream_generate, kGemini},
                                                            {openai_responses, kResponses}};
  for (const auto& [operation, stream] : streams) {
    // The last event is complete only with its last data byte; blank lines behind it may be
    // missing.
    const std::size_t last_data = stream.find_last_not_of("\r\n");
    for (const std::size_t size :
         {std::size_t{0}, stream.size() / 3, stream.size() / 2, last_data}) {
      EXPECT_EQ(observe(operation, {}, stream.substr(0, size)).end, StreamEnd::truncated) << size;
    }
    EXPECT_EQ(observe(operation, {}, stream.substr(0, last_data + 1)).end, StreamEnd::clean);
    EXPECT_EQ(observe(operation, {}, stream).end, StreamEnd::clean);
  }
}

TEST(Stream, CountsEventsThatAreNoJsonAndGoesOn) {
  const Observation seen = observe_all_cuts(openai_chat, {},
                                            "data: hello\n\ndata: {\"choices\":[}\n\ndata: "
                                            "\n\ndata: [DONE\n\ndata: {\"choices\":[{\"delta\":"
                                            "{\"content\":\"ok\"}}]}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(seen.malformed, 4U);
  EXPECT_EQ(seen.semantic, 1U);
  EXPECT_EQ(seen.end, StreamEnd::clean);
}

TEST(Stream, JoinsDataLines) {
  const Observation seen =
      observe_all_cuts(openai_chat, {},
                       "data: {\"choices\":[{\"delta\":{\"content\":\ndata: "
                       "\"hello\"}}],\ndata:\ndata: \"usage\":{\"prompt_tokens\":3,"
                       "\"completion_tokens\":\ndata: 4}}\n\n");
  EXPECT_EQ(seen.events, 1U);
  EXPECT_EQ(seen.malformed, 0U);
  EXPECT_EQ(seen.usage.input, 3);
  EXPECT_EQ(seen.usage.output, 4);
}

TEST(Stream, DoesNotCallEmptyDeltasSemantic) {
  const std::pair<Operation, std::string_view> streams[] = {
      {openai_chat,
       "data: "
       "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[],"
       "\"reasoning_content\":null},"
       "\"finish_reason\":null}],\"usage\":null}\n\n"},
      {openai_chat, "data: {\"choices\":[],\"prompt_filter_results\":[{\"x\":1}]}\n\n"},
      {openai_chat, ": OPENROUTER PROCESSING\n\n\n\n"},
      {claude_messages, kClaude.substr(0, kClaude.find("event: content_block_delta"))},
      {gemini_stream_generate,
       "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]}}]}\n\n"},
      {openai_responses,
       kResponses.substr(0, kResponses.find("event: response.output_text.delta"))},
  };
  for (const auto& [operation, stream] : streams)
    EXPECT_EQ(observe(operation, {}, stream).semantic, 0U) << stream;
}

TEST(Stream, CountsReasoningUnderTwoNamesOnce) {
  const auto counted = [](std::string_view delta) {
    return observe(openai_chat, {},
                   "data: {\"choices\":[{\"delta\":{" + std::string(delta) + "}}]}\n\n")
        .counted;
  };
  const Tokens once = counted(R"("reasoning_content":"some long thought here")");
  EXPECT_EQ(
      counted(
          R"("reasoning":"some long thought here","reasoning_content":"some long thought here")"),
      once);
  EXPECT_EQ(counted(R"("reasoning":"","reasoning_content":"some long thought here")"), once);
  EXPECT_EQ(
      counted(R"("reasoning_details":[{"type":"reasoning.text","text":"some long thought here"}])"),
      once);
  EXPECT_EQ(
      counted(
          R"("content":[{"type":"thinking","thinking":[{"type":"text","text":"some long thought here"}]}])"),
      once);
}

TEST(Stream, SeesASemanticEventThatIsStillOpen) {
  StreamMeter meter(openai_chat, {});
  EXPECT_FALSE(meter.feed("data: {\"choices\":[{\"delta\":{\"content\":\"").semantic_open);
  const Fed fed = meter.feed("iVBORw0KGgo");
  EXPECT_TRUE(fed.semantic_open);
  EXPECT_FALSE(fed.semantic);
  EXPECT_FALSE(fed.at_boundary);
  EXPECT_TRUE(meter.feed("\"}}]}\n\n").semantic);
}

TEST(Stream, BearsALineOf64MiB) {  // S12
  StreamMeter meter(openai_chat, {.withhold_usage = true});
  std::string sent;
  const std::string block(1 << 20, 'A');
  std::size_t passed = meter.feed("data: {\"choices\":[{\"delta\":{\"content\":\"").pass;
  for (int i = 0; i < 64; ++i) passed += meter.feed(block).pass;
  EXPECT_EQ(passed + 39, 39U + (64U << 20) + 39U);
  meter.feed("\"}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(meter.finish(), StreamEnd::clean);
  EXPECT_EQ(meter.usage().output, 9);
  EXPECT_GT(meter.counted_output(), 1'000'000);
  EXPECT_LT(sizeof(StreamMeter), 1024U);
}

TEST(Stream, BearsAFloodOfEmptyEvents) {  // S13
  StreamMeter meter(openai_chat, {.withhold_usage = true});
  const std::string flood(1'000'000, '\n');
  std::size_t passed = 0;
  for (std::size_t at = 0; at < flood.size(); at += 997)
    passed += meter.feed(std::string_view(flood).substr(at, 997)).pass;
  EXPECT_EQ(passed, flood.size());
  EXPECT_EQ(meter.events(), 0U);
  EXPECT_TRUE(meter.at_boundary());
  std::string empty;
  for (int i = 0; i < 100'000; ++i) empty += "data\n\n";
  meter.feed(empty);
  EXPECT_EQ(meter.events(), 100'000U);
}

}  // namespace
}  // namespace sluice::dialect
