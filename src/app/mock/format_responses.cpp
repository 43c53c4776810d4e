// The Responses API.
#include <fmt/format.h>

#include "formats.hpp"
#include "text.hpp"

namespace sluice::mock {
namespace {

constexpr std::string_view kResponseItem = "msg_";

std::string response_object(const Script& script, std::string_view status, std::string_view output,
                            std::string_view usage) {
  return fmt::format(
      R"({{"id":"resp_{}","object":"response","created_at":{},"status":"{}",)"
      R"("background":false,"error":null,"incomplete_details":null,"instructions":null,)"
      R"("model":"{}","output":[{}],"parallel_tool_calls":true,"tool_choice":"auto",)"
      R"("tools":[]{}}})",
      kIdMark, kCreated, status, script.model, output, usage);
}

std::string response_message(std::string_view status, std::string_view content) {
  return fmt::format(
      R"({{"id":"{}{}","type":"message","status":"{}","role":"assistant","content":[{}]}})",
      kResponseItem, kIdMark, status, content);
}

std::string response_part(std::string_view text) {
  return fmt::format(R"({{"type":"output_text","annotations":[],"logprobs":[],"text":"{}"}})",
                     text);
}

std::string response_tool(std::string_view status, std::string_view arguments) {
  return fmt::format(
      R"({{"id":"fc_{0}","type":"function_call","status":"{1}","call_id":"call_{0}",)"
      R"("name":"{2}","arguments":"{3}"}})",
      kIdMark, status, kToolName, arguments);
}

std::string response_output(const Script& script, std::string_view text) {
  std::string output = response_message("completed", response_part(text));
  if (script.behaviour.tool) output += "," + response_tool("completed", kToolArguments);
  return output;
}

/// Numbers the events of one stream.
class ResponseEvents {
 public:
  ResponseEvents(std::string& out, std::uint64_t id, std::uint64_t first)
      : out_(out), id_(id), number_(first) {}
  void add(std::string_view type, std::string_view members) {
    append_with_id(
        out_, type,
        fmt::format(R"({{"type":"{}","sequence_number":{},{}}})", type, number_++, members), id_);
  }

 private:
  std::string& out_;
  std::uint64_t id_;
  std::uint64_t number_;
};

constexpr std::string_view kItemZero =
    R"("item_id":"msg_00000000cafe0000","output_index":0,"content_index":0)";

}  // namespace

std::string responses_usage(const Usage& u) {
  const std::int64_t prompt = prompt_tokens(u);
  const std::int64_t output = u.output;
  return fmt::format(R"({{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{},)"
                     R"("cache_write_tokens":{}}},"output_tokens":{},)"
                     R"("output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{}}})",
                     prompt, u.cache_read, u.cache_write, output, u.reasoning,
                     total_tokens(prompt, output));
}

std::string responses_delta(std::string_view text) {
  return fmt::format(
      "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\","
      "\"sequence_number\":{},{},\"delta\":\"{}\",\"logprobs\":[]}}\n\n",
      kSequenceMark, kItemZero, text);
}

std::string responses_whole(const Script& script) {
  return response_object(script, "completed", response_output(script, whole_text(script)), "");
}

void responses_opening(std::string& out, const Script& script, const Answer& answer) {
  ResponseEvents events(out, answer.id, 0);
  const std::string empty = response_object(script, "in_progress", "", R"(,"usage":null)");
  events.add("response.created", R"("response":)" + empty);
  events.add("response.in_progress", R"("response":)" + empty);
  events.add("response.output_item.added",
             R"("output_index":0,"item":)" + response_message("in_progress", ""));
  events.add("response.content_part.added",
             fmt::format(R"({},"part":{})", kItemZero, response_part("")));
}

void responses_closing(std::string& out, const Script& script, const Answer& answer) {
  ResponseEvents events(out, answer.id,
                        kResponsesOpeningEvents + static_cast<std::uint64_t>(answer.chunks_sent));
  const std::string text = whole_text(script);
  events.add("response.output_text.done",
             fmt::format(R"({},"text":"{}","logprobs":[])", kItemZero, text));
  events.add("response.content_part.done",
             fmt::format(R"({},"part":{})", kItemZero, response_part(text)));
  events.add("response.output_item.done",
             R"("output_index":0,"item":)" + response_message("completed", response_part(text)));
  if (script.behaviour.tool) {
    events.add("response.output_item.added",
               R"("output_index":1,"item":)" + response_tool("in_progress", ""));
    events.add(
        "response.function_call_arguments.delta",
        fmt::format(R"("item_id":"fc_{}","output_index":1,"delta":"{}")", kIdMark, kToolArguments));
    events.add("response.function_call_arguments.done",
               fmt::format(R"("item_id":"fc_{}","output_index":1,"name":"{}","arguments":"{}")",
                           kIdMark, kToolName, kToolArguments));
    events.add("response.output_item.done",
               R"("output_index":1,"item":)" + response_tool("completed", kToolArguments));
  }
  const std::string usage = shows_usage(script) ? R"(,"usage":)" + responses_usage(answer.usage)
                                                : std::string(R"(,"usage":null)");
  events.add("response.completed",
             R"("response":)" +
                 response_object(script, "completed", response_output(script, text), usage));
}

}  // namespace sluice::mock
