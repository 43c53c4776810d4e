// What the stand-in needs to know of a request: which call it is, for which model, streamed or not,
// and how many input tokens it claims for it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http_request.hpp"

namespace sluice::mock {

enum class Call : std::uint8_t {
  chat,
  completions,
  responses,
  embeddings,
  messages,
  count_tokens,  ///< Claude
  gemini_generate,
  gemini_stream_sse,
  gemini_stream_array,
  gemini_count,
  gemini_embed,
  gemini_embed_batch,
  openai_models,
  claude_models,
  gemini_models,
  unknown,
};

/// Which family's error shape an answer takes.
enum class Family : std::uint8_t { openai, claude, gemini };

[[nodiscard]] Family family_of(Call call);
[[nodiscard]] std::string_view to_string(Call call);
[[nodiscard]] bool lists_models(Call call);
/// True where a model writes an answer: chat, completions, responses, messages, generateContent.
[[nodiscard]] bool generates(Call call);

struct RequestFacts {
  Call call = Call::unknown;
  std::string_view
      model;  ///< of the body, of the path (Gemini), or of a model query; points into the request
  bool stream = false;
  bool include_usage = false;   ///< stream_options.include_usage
  bool stream_options = false;  ///< the member is there
  bool valid_json = true;
  std::int64_t input_tokens = 0;  ///< by the rule of request_tokens
  std::int64_t items = 1;         ///< embeddings: inputs asked for
};

/// Claimed input tokens of a JSON body: one for each four bytes (rounded up, at least 1) of all its
/// string values, as they stand between their quotes, other than the top-level `model`. Keys,
/// numbers and punctuation count nothing, so neither a renamed model nor added stream options
/// change the figure.
[[nodiscard]] constexpr std::int64_t request_tokens(std::int64_t string_bytes) {
  return string_bytes < 4 ? 1 : (string_bytes + 3) / 4;
}

[[nodiscard]] RequestFacts facts_of(const HttpRequest& request);

}  // namespace sluice::mock
