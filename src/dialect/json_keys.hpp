// The member names that any rule knows, found by one hash probe. Spellings of one meaning share an
// id.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string_view>

namespace sluice::dialect {

// clang-format off
#define SLUICE_JSON_KEYS(X)                                                                        \
  /* requests: control */                                                                          \
  X(model, "model") X(stream, "stream") X(stream_options, "stream_options")                        \
  X(include_usage, "include_usage") X(max_tokens, "max_tokens")                                    \
  X(max_completion_tokens, "max_completion_tokens") X(max_output_tokens, "max_output_tokens")      \
  X(max_output_tokens, "maxOutputTokens") X(n, "n") X(best_of, "best_of")                          \
  X(candidate_count, "candidateCount") X(candidate_count, "candidate_count")                       \
  X(generation_config, "generationConfig") X(generation_config, "generation_config")               \
  X(service_tier, "service_tier") X(service_tier, "serviceTier") X(speed, "speed")                 \
  X(background, "background") X(previous_response_id, "previous_response_id")                      \
  X(conversation, "conversation") X(cached_content, "cachedContent")                               \
  X(cached_content, "cached_content") X(metadata, "metadata") X(user, "user")                      \
  X(user_id, "user_id") X(prompt_cache_key, "prompt_cache_key") X(modalities, "modalities")        \
  X(models, "models") X(fallbacks, "fallbacks") X(web_search_options, "web_search_options")        \
  X(mcp_servers, "mcp_servers") X(search_parameters, "search_parameters")                          \
  X(enable_search, "enable_search") X(plugins, "plugins")                                          \
  X(response_modalities, "responseModalities") X(response_modalities, "response_modalities")       \
  /* requests: parameters without text */                                                          \
  X(parameter, "temperature") X(parameter, "top_p") X(parameter, "top_k") X(parameter, "seed")     \
  X(parameter, "frequency_penalty") X(parameter, "presence_penalty") X(parameter, "logit_bias")    \
  X(parameter, "logprobs") X(parameter, "top_logprobs") X(parameter, "stop")                       \
  X(parameter, "stop_sequences") X(parameter, "parallel_tool_calls") X(parameter, "store")         \
  X(parameter, "reasoning_effort") X(parameter, "verbosity") X(parameter, "truncation")            \
  X(parameter, "include") X(parameter, "encoding_format") X(parameter, "dimensions")               \
  X(parameter, "safety_identifier") X(parameter, "prompt_cache_options")                           \
  X(parameter, "prompt_cache_retention") X(parameter, "safetySettings")                            \
  X(parameter, "safety_settings") X(parameter, "toolConfig") X(parameter, "tool_config")           \
  X(parameter, "tool_choice") X(parameter, "enable_thinking") X(parameter, "thinking_budget")      \
  X(parameter, "cache_control") X(parameter, "taskType") X(parameter, "outputDimensionality")      \
  /* requests: content */                                                                          \
  X(messages, "messages") X(contents, "contents") X(content, "content") X(parts, "parts")          \
  X(text, "text") X(role, "role") X(type, "type") X(id, "id") X(id, "call_id")                     \
  X(id, "tool_call_id") X(id, "tool_use_id") X(name, "name") X(input, "input")                     \
  X(prompt, "prompt") X(suffix, "suffix") X(system, "system") X(system, "systemInstruction")       \
  X(system, "system_instruction") X(system, "instructions") X(tools, "tools")                      \
  X(functions, "functions") X(function_declarations, "functionDeclarations")                       \
  X(function_declarations, "function_declarations") X(google_search, "googleSearch")               \
  X(google_search, "google_search") X(google_search, "googleSearchRetrieval")                      \
  X(google_search, "google_search_retrieval") X(google_search, "codeExecution")                    \
  X(google_search, "code_execution") X(google_search, "urlContext")                                \
  X(google_search, "url_context") X(google_search, "googleMaps") X(google_search, "fileSearch")    \
  X(image_url, "image_url") X(url, "url") X(input_audio, "input_audio") X(audio, "audio")          \
  X(data, "data") X(file, "file") X(file_data, "file_data") X(file_data, "fileData")               \
  X(file_id, "file_id") X(file_url, "file_url") X(file_uri, "fileUri") X(file_uri, "file_uri")     \
  X(inline_data, "inlineData") X(inline_data, "inline_data") X(mime_type, "mimeType")              \
  X(mime_type, "mime_type") X(mime_type, "media_type") X(source, "source")                         \
  X(signature, "signature") X(signature, "thoughtSignature") X(signature, "thought_signature")     \
  X(signature, "encrypted_content") X(detail, "detail") X(format, "format")                        \
  X(generate_content_request, "generateContentRequest") X(requests, "requests")                    \
  /* answers */                                                                                    \
  X(choices, "choices") X(delta, "delta") X(message, "message") X(finish_reason, "finish_reason")  \
  X(refusal, "refusal") X(reasoning, "reasoning_content") X(reasoning, "reasoning")                \
  X(reasoning, "reasoning_text") X(reasoning_details, "reasoning_details")                         \
  X(tool_calls, "tool_calls") X(function_call, "function_call") X(function_call, "functionCall")   \
  X(function, "function") X(function, "custom") X(arguments, "arguments") X(args, "args")          \
  X(transcript, "transcript") X(thinking, "thinking") X(summary, "summary")                        \
  X(partial_json, "partial_json") X(content_block, "content_block") X(stop_reason, "stop_reason")  \
  X(response, "response") X(output, "output") X(item, "item") X(candidates, "candidates")          \
  X(finish_reason, "finishReason") X(prompt_feedback, "promptFeedback")                            \
  X(block_reason, "blockReason") X(executable_code, "executableCode")                              \
  X(code_result, "codeExecutionResult") X(object, "object")                                        \
  /* usage */                                                                                      \
  X(usage, "usage") X(usage, "usageMetadata") X(usage_prompt, "prompt_tokens")                     \
  X(usage_prompt, "input_tokens") X(usage_prompt, "promptTokenCount")                              \
  X(usage_prompt, "totalTokens") X(usage_completion, "completion_tokens")                          \
  X(usage_completion, "output_tokens") X(usage_completion, "candidatesTokenCount")                 \
  X(usage_total, "total_tokens") X(usage_total, "totalTokenCount")                                 \
  X(prompt_details, "prompt_tokens_details") X(prompt_details, "prompt_token_details")             \
  X(prompt_details, "input_tokens_details") X(completion_details, "completion_tokens_details")     \
  X(completion_details, "output_tokens_details") X(cached_tokens, "cached_tokens")                 \
  X(usage_cached_top, "num_cached_tokens") X(usage_cached, "cache_read_input_tokens")              \
  X(usage_cached, "cachedContentTokenCount") X(usage_cache_hit, "prompt_cache_hit_tokens")         \
  X(usage_cache_miss, "prompt_cache_miss_tokens") X(usage_cache_write, "cache_write_tokens")       \
  X(usage_cache_write, "cache_creation_input_tokens") X(cache_creation, "cache_creation")          \
  X(cache_creation, "cache_write_tokens_details")                                                  \
  X(usage_write_short, "ephemeral_5m_input_tokens") X(usage_write_short, "ttl_30m_tokens")         \
  X(usage_write_long, "ephemeral_1h_input_tokens") X(usage_write_long, "ttl_12h_tokens")           \
  X(usage_reasoning, "reasoning_tokens") X(usage_reasoning, "thinking_tokens")                     \
  X(usage_reasoning, "thoughtsTokenCount") X(usage_tool_prompt, "toolUsePromptTokenCount")         \
  X(server_tool_use, "server_tool_use") X(web_search_requests, "web_search_requests")              \
  X(web_fetch_requests, "web_fetch_requests")                                                      \
  /* errors */                                                                                     \
  X(error, "error") X(code, "code") X(status, "status") X(details, "details")                      \
  X(error_code, "error_code") X(reason, "reason") X(base_resp, "base_resp")                        \
  X(status_code, "status_code") X(status_msg, "status_msg") X(quota_id, "quotaId")                 \
  X(violations, "violations")
// clang-format on

struct KeySpelling {
  std::string_view text;
  std::uint8_t id;
};

/// What a member name means. Values are those that rules switch on; `unknown` is any other name.
enum class Key : std::uint8_t {
  unknown,
  model,
  stream,
  stream_options,
  include_usage,
  max_tokens,
  max_completion_tokens,
  max_output_tokens,
  n,
  best_of,
  candidate_count,
  generation_config,
  service_tier,
  speed,
  background,
  previous_response_id,
  conversation,
  cached_content,
  metadata,
  user,
  user_id,
  prompt_cache_key,
  modalities,
  models,
  fallbacks,
  web_search_options,
  mcp_servers,
  search_parameters,
  enable_search,
  plugins,
  response_modalities,
  parameter,
  messages,
  contents,
  content,
  parts,
  text,
  role,
  type,
  id,
  name,
  input,
  prompt,
  suffix,
  system,
  tools,
  functions,
  function_declarations,
  google_search,
  image_url,
  url,
  input_audio,
  audio,
  data,
  file,
  file_data,
  file_id,
  file_url,
  file_uri,
  inline_data,
  mime_type,
  source,
  signature,
  detail,
  format,
  generate_content_request,
  requests,
  choices,
  delta,
  message,
  finish_reason,
  refusal,
  reasoning,
  reasoning_details,
  tool_calls,
  function_call,
  function,
  arguments,
  args,
  transcript,
  thinking,
  summary,
  partial_json,
  content_block,
  stop_reason,
  response,
  output,
  item,
  candidates,
  prompt_feedback,
  block_reason,
  executable_code,
  code_result,
  object,
  usage,
  usage_prompt,
  usage_completion,
  usage_total,
  prompt_details,
  completion_details,
  cached_tokens,
  usage_cached_top,
  usage_cached,
  usage_cache_hit,
  usage_cache_miss,
  usage_cache_write,
  cache_creation,
  usage_write_short,
  usage_write_long,
  usage_reasoning,
  usage_tool_prompt,
  server_tool_use,
  web_search_requests,
  web_fetch_requests,
  error,
  code,
  status,
  details,
  error_code,
  reason,
  base_resp,
  status_code,
  status_msg,
  quota_id,
  violations,
  count_,
};

#define SLUICE_KEY_ENTRY(id, text) KeySpelling{text, static_cast<std::uint8_t>(Key::id)},
inline constexpr KeySpelling kKeySpellings[] = {{"", 0}, SLUICE_JSON_KEYS(SLUICE_KEY_ENTRY)};
#undef SLUICE_KEY_ENTRY
inline constexpr std::size_t kKeyCount = std::size(kKeySpellings);
static_assert(kKeyCount < 256);

inline constexpr std::size_t kMaxKeySize = 31;
inline constexpr std::size_t kKeySlots = 1024;

/// Hash of a name: its first eight bytes (the first in the lowest bits, the rest zero) and its
/// length.
constexpr std::size_t hash_key(std::uint64_t first_bytes, std::size_t size) {
  return ((first_bytes + size * 0x9e3779b97f4a7c15U) * 0xd6e8feb86659fd93U) >> 54;
}

/// A known name as it stands in a document, with its closing quote: one comparison of 32 bytes
/// tells also the length.
struct alignas(32) QuotedKey {
  char text[32];
};

struct KeyTable {
  std::uint8_t slots[kKeySlots];  ///< index of a name, 0 = empty; linear probing
  std::uint8_t ids[256];
  QuotedKey names[256];
};

consteval KeyTable make_key_table() {
  KeyTable table{};
  for (std::size_t i = 1; i < kKeyCount; ++i) {
    const std::string_view text = kKeySpellings[i].text;
    std::uint64_t first_bytes = 0;
    for (std::size_t k = 0; k < 8 && k < text.size(); ++k) {
      first_bytes |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[k])) << (8 * k);
    }
    std::size_t slot = hash_key(first_bytes, text.size());
    while (table.slots[slot] != 0) slot = (slot + 1) % kKeySlots;
    table.slots[slot] = static_cast<std::uint8_t>(i);
    table.ids[i] = kKeySpellings[i].id;
    for (std::size_t k = 0; k < text.size(); ++k) table.names[i].text[k] = text[k];
    table.names[i].text[text.size()] = '"';
  }
  return table;
}
inline constexpr KeyTable kKeys = make_key_table();

/// The meaning of a member name; `unknown` if no rule knows it. Exact spelling only. `quoted` holds
/// the name and its closing quote in front, `size` is the length of the name, at most 31; eight
/// bytes at `text` are readable.
inline Key find_key(__m256i quoted, const char* text, std::size_t size) {
  if (size == 0) return Key::unknown;
  std::uint64_t first_bytes;
  std::memcpy(&first_bytes, text, sizeof first_bytes);
  first_bytes = _bzhi_u64(first_bytes, size < 8 ? static_cast<unsigned>(8 * size) : 64U);
  const std::uint32_t wanted = static_cast<std::uint32_t>((std::uint64_t{2} << size) - 1);
  for (std::size_t slot = hash_key(first_bytes, size); kKeys.slots[slot] != 0;
       slot = (slot + 1) % kKeySlots) {
    const std::size_t index = kKeys.slots[slot];
    const __m256i name =
        _mm256_load_si256(reinterpret_cast<const __m256i*>(kKeys.names[index].text));
    const auto equal =
        static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(quoted, name)));
    if ((~equal & wanted) == 0) return static_cast<Key>(kKeys.ids[index]);
  }
  return Key::unknown;
}

/// The same for a name that stands alone.
inline Key find_key(std::string_view text) {
  if (text.size() > kMaxKeySize) return Key::unknown;
  QuotedKey copy{};
  std::memcpy(copy.text, text.data(), text.size());
  copy.text[text.size()] = '"';
  return find_key(_mm256_load_si256(reinterpret_cast<const __m256i*>(copy.text)), copy.text,
                  text.size());
}

}  // namespace sluice::dialect
