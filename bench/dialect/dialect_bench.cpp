// What a request and a chunk cost in the dialect module.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "sluice/dialect/request_scan.hpp"
#include "sluice/dialect/stream_meter.hpp"

using namespace sluice::dialect;

namespace {

constexpr std::string_view kProse =
    "You are a careful assistant. Answer in two sentences, name your sources, and say so when the "
    "figure 3.1415 is not known.\\n\\nfor (int i = 0; i < 10; ++i) { sum += values[i]; }\\n";

std::string chat_request(std::size_t bytes) {
  std::string body =
      R"({"model":"gpt-6-luna","stream":true,"max_tokens":256,"temperature":0.7,"messages":[)"
      R"({"role":"system","content":"Be brief."},{"role":"user","content":")";
  const std::string_view tail = R"("}]})";
  while (body.size() + tail.size() < bytes) {
    body += kProse.substr(0, std::min(kProse.size(), bytes - body.size() - tail.size()));
    if (body.ends_with('\\')) body.back() = ' ';
  }
  return body + std::string(tail);
}

std::string chinese_request(std::size_t bytes) {
  std::string body = R"({"model":"qwen3.8-max","messages":[{"role":"user","content":")";
  while (body.size() < bytes) body += "请用两句话回答，并注明出处。";
  return body + R"("}]})";
}

void scan_request_of(benchmark::State& state, const std::string& body) {
  for (auto _ : state) benchmark::DoNotOptimize(scan_request(Operation::openai_chat, body));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
}

void BM_scan_request(benchmark::State& state) {
  scan_request_of(state, chat_request(static_cast<std::size_t>(state.range(0))));
}
BENCHMARK(BM_scan_request)->Arg(190)->Arg(4 << 10)->Arg(64 << 10)->Arg(1 << 20);

void BM_scan_request_chinese(benchmark::State& state) {
  scan_request_of(state, chinese_request(64 << 10));
}
BENCHMARK(BM_scan_request_chinese);

void BM_plan_edits(benchmark::State& state) {
  const std::string body = chat_request(190);
  const auto scan = scan_request(Operation::openai_chat, body);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        plan_edits(*scan, {.upstream_model = "gpt-6-luna-2026", .include_usage = true}));
  }
}
BENCHMARK(BM_plan_edits);

constexpr std::string_view kChatDelta =
    "data: "
    "{\"id\":\"chatcmpl-9zQ8sLmV2pXw\",\"object\":\"chat.completion.chunk\",\"created\":1763800000,"
    "\"model\":\"gpt-6-luna\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" together\"},"
    "\"finish_reason\":null}],\"usage\":null}\n\n";
constexpr std::string_view kClaudeDelta =
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
    "\"delta\":{\"type\":\"text_delta\",\"text\":\" together\"}}\n\n";
constexpr std::string_view kResponsesDelta =
    "event: response.output_text.delta\ndata: "
    "{\"type\":\"response.output_text.delta\",\"sequence_number\":1~~~,"
    "\"item_id\":\"msg_68\",\"output_index\":0,\"content_index\":0,\"delta\":\" "
    "together\",\"logprobs\":[]}\n\n";
/// OpenAI pads its chunks with random text, so that no two end alike.
constexpr std::string_view kPaddedDelta =
    "data: "
    "{\"id\":\"chatcmpl-9zQ8sLmV2pXw\",\"object\":\"chat.completion.chunk\",\"created\":1763800000,"
    "\"model\":\"gpt-6-luna\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" together\"},"
    "\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"x9~~~~\"}\n\n";
constexpr std::string_view kGeminiDelta =
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"The answer is a number of two "
    "digits.\"}],"
    "\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":10,"
    "\"candidatesTokenCount\":5,"
    "\"totalTokenCount\":15},\"modelVersion\":\"gemini-3.8-flash\",\"responseId\":\"r1\"}\r\n\r\n";

/// Feeds the event again and again; `~` in it are replaced by a number that changes.
void feed_event(benchmark::State& state, Operation operation, std::string_view event,
                bool withhold) {
  constexpr std::size_t kVariants = 64;
  std::vector<std::string> events;
  for (std::size_t i = 0; i < kVariants; ++i) {
    events.emplace_back(event);
    std::size_t digits = 1000 + i * 7;
    for (char& c : events.back()) {
      if (c == '~') c = static_cast<char>('0' + digits % 10), digits /= 10;
    }
  }
  StreamMeter meter(operation, {.withhold_usage = withhold});
  std::size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(meter.feed(events[next++ % kVariants]));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(event.size()));
  state.counters["event_bytes"] = static_cast<double>(event.size());
}

void BM_chat_delta(benchmark::State& s) {
  feed_event(s, Operation::openai_chat, kChatDelta, false);
}
void BM_chat_delta_withheld(benchmark::State& s) {
  feed_event(s, Operation::openai_chat, kChatDelta, true);
}
void BM_responses_delta(benchmark::State& s) {
  feed_event(s, Operation::openai_responses, kResponsesDelta, false);
}
void BM_claude_delta(benchmark::State& s) {
  feed_event(s, Operation::claude_messages, kClaudeDelta, false);
}
void BM_gemini_chunk(benchmark::State& s) {
  feed_event(s, Operation::gemini_stream_generate, kGeminiDelta, false);
}
void BM_chat_delta_padded(benchmark::State& s) {
  feed_event(s, Operation::openai_chat, kPaddedDelta, false);
}
BENCHMARK(BM_chat_delta);
BENCHMARK(BM_chat_delta_padded);
BENCHMARK(BM_chat_delta_withheld);
BENCHMARK(BM_responses_delta);
BENCHMARK(BM_claude_delta);
BENCHMARK(BM_gemini_chunk);

void BM_chat_delta_64k(benchmark::State& state) {
  std::string event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
  while (event.size() < (64 << 10)) event += kProse;
  event += "\"}}]}\n\n";
  feed_event(state, Operation::openai_chat, event, false);
}
BENCHMARK(BM_chat_delta_64k);

void BM_newline_flood(benchmark::State& state) {
  feed_event(state, Operation::openai_chat, std::string(4096, '\n'), false);
}
BENCHMARK(BM_newline_flood);

void BM_chat_body_1400(benchmark::State& state) {
  std::string body =
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1763800000,"model":"gpt-6-luna",)"
      R"("choices":[{"index":0,"finish_reason":"stop","logprobs":null,"message":{"role":"assistant","content":")";
  while (body.size() < 900) body += kProse;
  body +=
      R"(","refusal":null,"annotations":[]}}],"usage":{"prompt_tokens":9,"completion_tokens":300,"total_tokens":309,)"
      R"("prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":0},)"
      R"("completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,)"
      R"("rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"})";
  for (auto _ : state) {
    BodyMeter meter(Operation::openai_chat);
    meter.feed(body);
    benchmark::DoNotOptimize(meter.usage());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
  state.counters["body_bytes"] = static_cast<double>(body.size());
}
BENCHMARK(BM_chat_body_1400);

}  // namespace

BENCHMARK_MAIN();
