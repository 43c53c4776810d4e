// Chat Completions, legacy completions and embeddings.
#include <fmt/format.h>

#include <iterator>

#include "formats.hpp"
#include "text.hpp"

namespace sluice::mock {
namespace {

UsagePlace usage_place(const Script& script) {
  if (script.personality == nullptr || script.call != Call::chat) return UsagePlace::own_chunk;
  return script.personality->usage_place;
}

void openai_usage_chunks(std::string& out, const Script& script, const Answer& answer,
                         std::string_view object, std::string_view prefix) {
  if (!streams_usage(script) || usage_place(script) != UsagePlace::own_chunk) return;
  const UsageTimes times = usage_times(script.behaviour.usage);
  for (std::size_t i = 0; i < times.count; ++i) {
    append_event(
        out, "",
        fmt::format(R"({{"id":"{}-{:016x}","object":"{}","created":{},"model":"{}","choices":[],)"
                    R"("usage":{}}})",
                    prefix, answer.id, object, kCreated, script.model,
                    openai_usage(script, answer.usage, times.factors[i])));
  }
}

/// The chunk with the finish reason; some have the usage in it, or in its choice.
std::string finish_chunk(const Script& script, const Answer& answer) {
  const std::string_view reason = script.behaviour.tool ? R"("tool_calls")" : R"("stop")";
  const UsagePlace place = usage_place(script);
  if (place == UsagePlace::own_chunk || !streams_usage(script))
    return chat_chunk(script, "{}", reason);
  const std::string usage = R"("usage":)" + openai_usage(script, answer.usage);
  const bool inside = place == UsagePlace::choice;
  return fmt::format(
      R"({{"id":"chatcmpl-{}","object":"chat.completion.chunk","created":{},"model":"{}",)"
      R"("choices":[{{"index":0,"delta":{{}},"finish_reason":{}{}}}]{}}})",
      kIdMark, kCreated, script.model, reason, inside ? "," + usage : "",
      inside ? "" : "," + usage);
}

std::string embeddings_data(std::int64_t items) {
  std::string data;
  for (std::int64_t i = 0; i < items; ++i) {
    fmt::format_to(std::back_inserter(data),
                   R"({}{{"object":"embedding","index":{},"embedding":[{}]}})", i == 0 ? "" : ",",
                   i, embedding_values(i));
  }
  return data;
}

}  // namespace

std::string openai_usage(const Script& script, const Usage& u, std::int64_t factor) {
  const std::int64_t prompt = prompt_tokens(u);
  const std::int64_t output = output_times(u, factor);
  const std::int64_t total = total_tokens(prompt, output);
  const bool plain = script.personality == nullptr || script.call != Call::chat;
  const auto counts = [&](std::int64_t completion) {
    return fmt::format(R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{})", prompt,
                       completion, total);
  };
  switch (plain ? UsageNames::openai : script.personality->usage_names) {
    case UsageNames::deepseek:
      return counts(output) +
             fmt::format(R"(,"completion_tokens_details":{{"reasoning_tokens":{}}},)"
                         R"("prompt_cache_hit_tokens":{},"prompt_cache_miss_tokens":{}}})",
                         u.reasoning, u.cache_read, prompt - u.cache_read);
    case UsageNames::kimi:
      return counts(output) + fmt::format(R"(,"cached_tokens":{}}})", u.cache_read);
    case UsageNames::mistral:
      return counts(output) + fmt::format(R"(,"num_cached_tokens":{}}})", u.cache_read);
    case UsageNames::qwen:
      return counts(output) +
             fmt::format(R"(,"prompt_tokens_details":{{"cached_tokens":{},)"
                         R"("cache_creation_input_tokens":{},"cache_type":"ephemeral"}},)"
                         R"("completion_tokens_details":{{"reasoning_tokens":{}}}}})",
                         u.cache_read, u.cache_write, u.reasoning);
    case UsageNames::xai:
      return counts(output - u.reasoning) +
             fmt::format(R"(,"prompt_tokens_details":{{"cached_tokens":{}}},)"
                         R"("completion_tokens_details":{{"reasoning_tokens":{}}},)"
                         R"("num_sources_used":0}})",
                         u.cache_read, u.reasoning);
    case UsageNames::openai:
      break;
  }
  return counts(output) +
         fmt::format(R"(,"prompt_tokens_details":{{"cached_tokens":{},"cache_write_tokens":{},)"
                     R"("audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{},)"
                     R"("audio_tokens":0,"accepted_prediction_tokens":0,)"
                     R"("rejected_prediction_tokens":0}}}})",
                     u.cache_read, u.cache_write, u.reasoning);
}

std::string chat_content(const Script& script, std::string_view text) {
  if (script.personality != nullptr && script.personality->array_content)
    return fmt::format(R"([{{"type":"text","text":"{}"}}])", text);
  return fmt::format(R"("{}")", text);
}

void chat_opening(std::string& out, const Script& script, const Answer& answer) {
  const auto event = [&](std::string_view delta) {
    append_with_id(out, "", chat_chunk(script, delta, "null"), answer.id);
  };
  event(R"({"role":"assistant","content":"","refusal":null})");
  const Personality* const own = script.personality;
  if (own == nullptr || script.behaviour.reasoning == 0) return;
  if (own->reasoning_field) event(R"({"reasoning_content":"Hm."})");
  if (own->array_content)
    event(R"({"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]}]})");
  if (own->think_tags) event(R"({"content":"<think>Hm.</think>"})");
}

std::string chat_chunk(const Script& script, std::string_view delta, std::string_view finish) {
  return fmt::format(
      R"({{"id":"chatcmpl-{}","object":"chat.completion.chunk","created":{},"model":"{}",)"
      R"("choices":[{{"index":0,"delta":{},"finish_reason":{}}}]{}}})",
      kIdMark, kCreated, script.model, delta, finish,
      script.include_usage ? R"(,"usage":null)" : "");
}

std::string completions_chunk(const Script& script, std::string_view text,
                              std::string_view finish) {
  return fmt::format(
      R"({{"id":"cmpl-{}","object":"text_completion","created":{},"model":"{}",)"
      R"("choices":[{{"text":"{}","index":0,"logprobs":null,"finish_reason":{}}}]{}}})",
      kIdMark, kCreated, script.model, text, finish,
      script.include_usage ? R"(,"usage":null)" : "");
}

void chat_closing(std::string& out, const Script& script, const Answer& answer) {
  if (script.behaviour.tool) {
    append_with_id(
        out, "",
        chat_chunk(script,
                   fmt::format(R"({{"tool_calls":[{{"index":0,"id":"call_{}","type":"function",)"
                               R"("function":{{"name":"{}","arguments":""}}}}]}})",
                               kIdMark, kToolName),
                   "null"),
        answer.id);
    append_with_id(
        out, "",
        chat_chunk(
            script,
            fmt::format(R"({{"tool_calls":[{{"index":0,"function":{{"arguments":"{}"}}}}]}})",
                        kToolArguments),
            "null"),
        answer.id);
  }
  append_with_id(out, "", finish_chunk(script, answer), answer.id);
  openai_usage_chunks(out, script, answer, "chat.completion.chunk", "chatcmpl");
  append_event(out, "", "[DONE]");
}

std::string chat_whole(const Script& script) {
  const std::string tools =
      script.behaviour.tool
          ? fmt::format(
                R"(,"tool_calls":[{{"id":"call_{}","type":"function","function":{{"name":"{}",)"
                R"("arguments":"{}"}}}}])",
                kIdMark, kToolName, kToolArguments)
          : "";
  const Personality* const own = script.personality;
  const bool reasons = own != nullptr && script.behaviour.reasoning > 0;
  const std::string text =
      (reasons && own->think_tags ? "<think>Hm.</think>" : "") + whole_text(script);
  return fmt::format(
      R"({{"id":"chatcmpl-{}","object":"chat.completion","created":{},"model":"{}",)"
      R"("choices":[{{"index":0,"message":{{"role":"assistant","content":{},"refusal":null,)"
      R"("annotations":[]{}{}}},"logprobs":null,"finish_reason":"{}"}}],)"
      R"("service_tier":"default","system_fingerprint":"fp_mock")",
      kIdMark, kCreated, script.model, chat_content(script, text),
      reasons && own->reasoning_field ? R"(,"reasoning_content":"Hm.")" : "", tools,
      script.behaviour.tool ? "tool_calls" : "stop");
}

void completions_closing(std::string& out, const Script& script, const Answer& answer) {
  append_with_id(out, "", completions_chunk(script, "", R"("stop")"), answer.id);
  openai_usage_chunks(out, script, answer, "text_completion", "cmpl");
  append_event(out, "", "[DONE]");
}

std::string embedding_values(std::int64_t seed) {
  std::string values;
  for (std::int64_t i = 0; i < 8; ++i) {
    fmt::format_to(std::back_inserter(values), "{}0.{:02}", i == 0 ? "" : ",",
                   (seed * 7 + i * 13) % 100);
  }
  return values;
}

std::string embeddings_whole(const Script& script, const Answer& answer) {
  std::string body = fmt::format(R"({{"object":"list","data":[{}],"model":"{}")",
                                 embeddings_data(answer.items), script.model);
  if (shows_usage(script)) {
    body += fmt::format(R"(,"usage":{{"prompt_tokens":{0},"total_tokens":{0}}})",
                        prompt_tokens(answer.usage));
  }
  return body;
}

}  // namespace sluice::mock
