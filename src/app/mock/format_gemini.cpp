// Gemini's generateContent, streamed as events or as one array, and its embeddings.
#include <fmt/format.h>

#include <algorithm>

#include "formats.hpp"
#include "text.hpp"

namespace sluice::mock {
namespace {

std::string gemini_object(const Script& script, std::string_view parts, std::string_view finish,
                          std::string_view usage) {
  return fmt::format(
      R"({{"candidates":[{{"content":{{"parts":[{}],"role":"model"}}{},"index":0}}]{},)"
      R"("modelVersion":"{}","responseId":"{}"}})",
      parts, finish, usage, script.model, kIdMark);
}

std::string gemini_parts(const Script& script, std::string_view text) {
  std::string parts = fmt::format(R"({{"text":"{}"}})", text);
  if (script.behaviour.tool) {
    parts +=
        fmt::format(R"(,{{"functionCall":{{"name":"{}","args":{{"city":"Paris"}}}}}})", kToolName);
  }
  return parts;
}

}  // namespace

std::string gemini_usage(const Usage& u, std::int64_t factor) {
  const std::int64_t prompt = prompt_tokens(u);
  const std::int64_t output = output_times(u, factor);
  return fmt::format(
      R"({{"promptTokenCount":{},"cachedContentTokenCount":{},"candidatesTokenCount":{},)"
      R"("thoughtsTokenCount":{},"totalTokenCount":{}}})",
      prompt, u.cache_read, output - u.reasoning, u.reasoning, total_tokens(prompt, output));
}

std::string gemini_delta(const Script& script, std::string_view text) {
  return gemini_object(script, fmt::format(R"({{"text":"{}"}})", text), "", "");
}

std::string gemini_whole(const Script& script) {
  return gemini_object(script, gemini_parts(script, whole_text(script)),
                       R"(,"finishReason":"STOP")", "");
}

std::string gemini_embeddings(const Script& script, const Answer& answer) {
  if (script.call == Call::gemini_embed) {
    return fmt::format(R"({{"embedding":{{"values":[{}]}})", embedding_values(0));
  }
  std::string list;
  for (std::int64_t i = 0; i < answer.items; ++i) {
    list += fmt::format(R"({}{{"values":[{}]}})", i == 0 ? "" : ",", embedding_values(i));
  }
  return R"({"embeddings":[)" + list + "]";
}

void gemini_closing(std::string& out, const Script& script, const Answer& answer) {
  const bool array = script.call == Call::gemini_stream_array;
  const UsageTimes times = usage_times(script.behaviour.usage);
  for (std::size_t i = 0; i < std::max<std::size_t>(times.count, 1); ++i) {
    const std::string usage =
        times.count == 0 ? ""
                         : R"(,"usageMetadata":)" + gemini_usage(answer.usage, times.factors[i]);
    std::string object =
        gemini_object(script, gemini_parts(script, ""), R"(,"finishReason":"STOP")", usage);
    replace_marks(object, answer.id);
    if (array) {
      append_framed(out, (answer.chunks_sent == 0 && i == 0 ? "[\r\n" : ",\r\n") + object);
    } else {
      append_framed(out, "data: " + object + "\r\n\r\n");
    }
  }
  if (array) append_framed(out, "\n]");
}

}  // namespace sluice::mock
