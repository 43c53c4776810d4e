// Requests and answers as bytes, for tests that play a client and a provider.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "test_node.hpp"

namespace sluice::test {

inline std::string chat_request(std::string_view body, std::string_view extra = "") {
  std::string text =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ";
  text.append(kApiKey).append("\r\nContent-Type: application/json\r\n").append(extra);
  text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
  return text.append(body);
}

inline std::string with_length(std::string_view head, std::string_view body) {
  return std::string(head) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

inline std::string chunk(std::string_view payload) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", payload.size());
  return size + std::string(payload) + "\r\n";
}

inline constexpr std::string_view kAsk =
    R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
inline constexpr std::string_view kAskStream =
    R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]})";
inline constexpr std::string_view kAnswer =
    R"({"id":"c1","object":"chat.completion","model":"up-m","choices":[{"index":0,"finish_reason":"stop",)"
    R"("message":{"role":"assistant","content":"hello"}}],)"
    R"("usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150}})";
inline constexpr std::string_view kJsonHead =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
inline constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

inline std::string delta(std::string_view text) {
  return "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" +
         std::string(text) + "\"},\"finish_reason\":null}],\"usage\":null}\n\n";
}
inline constexpr std::string_view kFinish =
    "data: "
    "{\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":"
    "null}\n\n";
inline constexpr std::string_view kUsage =
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":50,"
    "\"total_tokens\":150}}\n\n";
inline constexpr std::string_view kDone = "data: [DONE]\n\n";

inline std::string payload_of(const std::string& answer) {
  std::string payload;
  for (std::size_t at = answer.find("\r\n\r\n") + 4; at < answer.size();) {
    const std::size_t size = std::strtoull(answer.c_str() + at, nullptr, 16);
    at = answer.find("\r\n", at) + 2;
    payload += answer.substr(at, size);
    at += size + 2;
  }
  return payload;
}

// 100 input tokens at 1 USD and 50 output tokens at 2 USD a million.
inline constexpr Nanos kCost = 100 * 1000 + 50 * 2000;

}  // namespace sluice::test
