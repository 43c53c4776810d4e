// The shapes of the four formats, one file each: what a provider writes, piece by piece (facts of
// the official SDKs and documentation). The id mark in a text is replaced by the answer's id.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "script.hpp"

namespace sluice::mock {

inline constexpr std::string_view kIdMark = "00000000cafe0000";  ///< replaced by the answer's id
inline constexpr std::string_view kSequenceMark = "99999999";    ///< replaced by the event's number
inline constexpr std::uint64_t kResponsesOpeningEvents = 4;
inline constexpr std::int64_t kCreated = 1'763'800'000;
inline constexpr std::string_view kToolName = "lookup";
inline constexpr std::string_view kToolArguments = R"({\"city\":\"Paris\"})";  ///< escaped once

inline constexpr std::size_t kMaxWholeText = 64u << 20;

// ---- format_common.cpp
/// The text of all chunks, cut at kMaxWholeText: endless streams have no whole.
[[nodiscard]] std::string whole_text(const Script& script);
[[nodiscard]] bool shows_usage(const Script& script);

/// How often the closing usage is sent, and by which factor each is too high.
struct UsageTimes {
  std::array<std::int64_t, 2> factors{1, 1};
  std::size_t count = 1;
};
[[nodiscard]] UsageTimes usage_times(UsageMode mode);

[[nodiscard]] std::int64_t prompt_tokens(const Usage& usage);
[[nodiscard]] std::int64_t output_times(const Usage& usage, std::int64_t factor);
/// prompt + output, or the output alone where the sum would not fit.
[[nodiscard]] std::int64_t total_tokens(std::int64_t prompt, std::int64_t output);

/// An event whose marks become the answer's id. Few a stream, so the search does not matter.
void append_with_id(std::string& out, std::string_view name, std::string data, std::uint64_t id);
void replace_marks(std::string& text, std::uint64_t id);

// ---- format_openai.cpp: Chat Completions, completions, embeddings
[[nodiscard]] std::string openai_usage(const Script& script, const Usage& usage,
                                       std::int64_t factor = 1);
/// Text as the value of `content`.
[[nodiscard]] std::string chat_content(const Script& script, std::string_view text);
void chat_opening(std::string& out, const Script& script, const Answer& answer);
[[nodiscard]] std::string chat_chunk(const Script& script, std::string_view delta,
                                     std::string_view finish);
[[nodiscard]] std::string completions_chunk(const Script& script, std::string_view text,
                                            std::string_view finish);
[[nodiscard]] std::string chat_whole(const Script& script);
void chat_closing(std::string& out, const Script& script, const Answer& answer);
void completions_closing(std::string& out, const Script& script, const Answer& answer);
[[nodiscard]] std::string embeddings_whole(const Script& script, const Answer& answer);
[[nodiscard]] std::string embedding_values(std::int64_t seed);

// ---- format_responses.cpp
[[nodiscard]] std::string responses_usage(const Usage& usage);
[[nodiscard]] std::string responses_delta(std::string_view text);
[[nodiscard]] std::string responses_whole(const Script& script);
void responses_opening(std::string& out, const Script& script, const Answer& answer);
void responses_closing(std::string& out, const Script& script, const Answer& answer);

// ---- format_claude.cpp
[[nodiscard]] std::string claude_usage(const Usage& usage, std::int64_t factor = 1);
[[nodiscard]] std::string claude_whole(const Script& script);
void claude_opening(std::string& out, const Script& script, const Answer& answer);
void claude_closing(std::string& out, const Script& script, const Answer& answer);

// ---- format_gemini.cpp
[[nodiscard]] std::string gemini_usage(const Usage& usage, std::int64_t factor = 1);
[[nodiscard]] std::string gemini_delta(const Script& script, std::string_view text);
[[nodiscard]] std::string gemini_whole(const Script& script);
[[nodiscard]] std::string gemini_embeddings(const Script& script, const Answer& answer);
void gemini_closing(std::string& out, const Script& script, const Answer& answer);

// ---- script_parts.cpp: the pieces of a script, whatever its format
/// One event (or array element) that carries `text`, without HTTP framing.
[[nodiscard]] std::string content_event(const Script& script, std::string_view text);
/// Body of a whole answer, up to and without its usage and last brace.
[[nodiscard]] std::string whole_body(const Script& script);
void append_whole_usage(std::string& body, const Script& script, const Answer& answer);
void append_opening_events(std::string& out, const Script& script, const Answer& answer);
void append_closing_events(std::string& out, const Script& script, const Answer& answer);

}  // namespace sluice::mock
