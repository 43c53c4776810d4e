// The Messages API.
#include <fmt/format.h>

#include <algorithm>

#include "formats.hpp"
#include "text.hpp"

namespace sluice::mock {

std::string claude_usage(const Usage& u, std::int64_t factor) {
  return fmt::format(
      R"({{"input_tokens":{},"cache_creation_input_tokens":{},"cache_read_input_tokens":{},)"
      R"("cache_creation":{{"ephemeral_5m_input_tokens":{},"ephemeral_1h_input_tokens":0}},)"
      R"("output_tokens":{},"service_tier":"standard"}})",
      u.input, u.cache_write, u.cache_read, u.cache_write, output_times(u, factor));
}

void claude_opening(std::string& out, const Script& script, const Answer& answer) {
  Usage start = answer.usage;
  start.output = 1;
  append_with_id(
      out, "message_start",
      fmt::format(R"({{"type":"message_start","message":{{"id":"msg_{}","type":"message",)"
                  R"("role":"assistant","model":"{}","content":[],"stop_reason":null,)"
                  R"("stop_sequence":null{}}}}})",
                  kIdMark, script.model,
                  shows_usage(script) ? R"(,"usage":)" + claude_usage(start) : ""),
      answer.id);
  append_event(
      out, "content_block_start",
      R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})");
}

void claude_closing(std::string& out, const Script& script, const Answer& answer) {
  append_event(out, "content_block_stop", R"({"type":"content_block_stop","index":0})");
  if (script.behaviour.tool) {
    append_event(
        out, "content_block_start",
        fmt::format(
            R"({{"type":"content_block_start","index":1,"content_block":{{"type":"tool_use",)"
            R"("id":"toolu_{:016x}","name":"{}","input":{{}}}}}})",
            answer.id, kToolName));
    append_event(
        out, "content_block_delta",
        fmt::format(
            R"({{"type":"content_block_delta","index":1,"delta":{{"type":"input_json_delta",)"
            R"("partial_json":"{}"}}}})",
            kToolArguments));
    append_event(out, "content_block_stop", R"({"type":"content_block_stop","index":1})");
  }
  const std::string_view stop = script.behaviour.tool ? "tool_use" : "end_turn";
  const UsageTimes times = usage_times(script.behaviour.usage);
  for (std::size_t i = 0; i < std::max<std::size_t>(times.count, 1); ++i) {
    const std::string usage =
        times.count == 0 ? "" : R"(,"usage":)" + claude_usage(answer.usage, times.factors[i]);
    append_event(
        out, "message_delta",
        fmt::format(
            R"({{"type":"message_delta","delta":{{"stop_reason":"{}","stop_sequence":null}}{}}})",
            stop, usage));
  }
  append_event(out, "message_stop", R"({"type":"message_stop"})");
}

std::string claude_whole(const Script& script) {
  const std::string tool =
      script.behaviour.tool
          ? fmt::format(
                R"(,{{"type":"tool_use","id":"toolu_{}","name":"{}","input":{{"city":"Paris"}}}})",
                kIdMark, kToolName)
          : "";
  return fmt::format(
      R"({{"id":"msg_{}","type":"message","role":"assistant","model":"{}",)"
      R"("content":[{{"type":"text","text":"{}"}}{}],"stop_reason":"{}","stop_sequence":null)",
      kIdMark, script.model, whole_text(script), tool,
      script.behaviour.tool ? "tool_use" : "end_turn");
}

}  // namespace sluice::mock
