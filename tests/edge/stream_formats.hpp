// One stream of each format as its provider sends it, event by event: 100 tokens in, 50 out.
#pragma once

#include <array>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "messages.hpp"
#include "scripted_upstream.hpp"
#include "sluice/dialect/format.hpp"

namespace sluice::test {

struct StreamFormat {
  const char* name;
  dialect::Format format;
  std::string request;     ///< of the client, its connection not kept
  std::string opening;     ///< events before the first content
  std::string content;     ///< one event with a few words
  std::string ending;      ///< events that end the stream and report its usage
  std::string error;       ///< the provider's own error event
  std::string ping;        ///< what the gateway sends into a silence
  std::string error_mark;  ///< part of every error event of the format
};

inline void PrintTo(const StreamFormat& format, std::ostream* out) { *out << format.name; }

inline std::string stream_request(std::string_view target, std::string_view body) {
  std::string text = "POST " + std::string(target) + " HTTP/1.1\r\nHost: gateway\r\n";
  text.append("Authorization: Bearer ").append(kApiKey).append("\r\nConnection: close\r\n");
  text.append("Content-Type: application/json\r\nContent-Length: ");
  return text.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
}

inline std::string event(std::string_view name, std::string_view data) {
  return "event: " + std::string(name) + "\ndata: " + std::string(data) + "\n\n";
}

inline const std::array<StreamFormat, 4>& stream_formats() {
  using dialect::Format;
  static const std::array<StreamFormat, 4> formats{
      StreamFormat{
          .name = "chat",
          .format = Format::openai,
          .request = stream_request("/v1/chat/completions",
                                    R"({"model":"m","stream":true,"stream_options":)"
                                    R"({"include_usage":true},"messages":[]})"),
          .opening = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n",
          .content = delta("one two three"),
          .ending = std::string(kFinish) + std::string(kUsage) + std::string(kDone),
          .error = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n",
          .ping = ": keep-alive\n\n",
          .error_mark = "data: {\"error\":"},
      StreamFormat{
          .name = "claude",
          .format = Format::claude,
          .request = stream_request("/v1/messages", R"({"model":"m","stream":true,)"
                                                    R"("max_tokens":64,"messages":[]})"),
          .opening = event("message_start", R"({"type":"message_start","message":{"id":"m1",)"
                                            R"("usage":{"input_tokens":100,"output_tokens":1}}})"),
          .content =
              event("content_block_delta", R"({"type":"content_block_delta","index":0,"delta":)"
                                           R"({"type":"text_delta","text":"one two three"}})"),
          .ending = event("message_delta", R"({"type":"message_delta","delta":{"stop_reason":)"
                                           R"("end_turn"},"usage":{"output_tokens":50}})") +
                    event("message_stop", R"({"type":"message_stop"})"),
          .error = event("error", R"({"type":"error","error":{"type":"overloaded_error",)"
                                  R"("message":"Overloaded"}})"),
          .ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n",
          .error_mark = "event: error\n"},
      StreamFormat{
          .name = "responses",
          .format = Format::openai,
          .request = stream_request("/v1/responses", R"({"model":"m","stream":true,"input":"hi"})"),
          .opening = event("response.created", R"({"type":"response.created","response":)"
                                               R"({"id":"r1","status":"in_progress"}})"),
          .content = event("response.output_text.delta", R"({"type":"response.output_text.delta",)"
                                                         R"("delta":"one two three"})"),
          .ending = event("response.completed",
                          R"({"type":"response.completed","response":{"id":"r1","status":)"
                          R"("completed","output":[],"usage":{"input_tokens":100,)"
                          R"("output_tokens":50,"total_tokens":150}}})"),
          .error = event("error", R"({"type":"error","code":"server_error","message":"busy"})"),
          .ping = ": keep-alive\n\n",
          .error_mark = "event: error\n"},
      StreamFormat{
          .name = "gemini",
          .format = Format::gemini,
          .request = stream_request("/v1beta/models/m:streamGenerateContent?alt=sse",
                                    R"({"contents":[]})"),
          .opening = "",
          .content =
              "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"one two three\"}],"
              "\"role\":\"model\"},\"index\":0}]}\r\n\r\n",
          .ending = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":"
                    "\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{"
                    "\"promptTokenCount\":100,\"candidatesTokenCount\":50,\"totalTokenCount\":150}}"
                    "\r\n\r\n",
          .error =
              "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}"
              "\r\n\r\n",
          .ping = ": keep-alive\n\n",
          .error_mark = "data: {\"error\":"},
  };
  return formats;
}

inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// A test for each of the formats.
class EachFormat : public ::testing::TestWithParam<StreamFormat> {
 protected:
  [[nodiscard]] static NodePlan plan(const ScriptedUpstream& upstream) {
    return {.upstream_port = upstream.port(),
            .upstream_format = static_cast<std::uint8_t>(GetParam().format)};
  }
};

}  // namespace sluice::test
