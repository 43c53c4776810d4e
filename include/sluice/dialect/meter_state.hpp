// What a meter knows between two spans: about 750 bytes, one for each answer under way; see
// stream_meter.hpp for its use.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "sluice/dialect/error_body.hpp"
#include "sluice/dialect/inline_text.hpp"
#include "sluice/dialect/json_state.hpp"
#include "sluice/dialect/token_classes.hpp"

namespace sluice::dialect {

/// The error that a provider put into a body or a stream.
struct UpstreamError {
  int code_number = 0;      ///< a numeric code, e.g. Gemini's, or 0
  InlineText<46> type;      ///< error.type or Gemini's error.status
  InlineText<60> code;      ///< error.code or details.error_code or reason
  InlineText<160> message;  ///< start of the message

  /// Class of the error; `status` is the HTTP status it came with. See classify_upstream_error().
  [[nodiscard]] ErrorClass classify(Format format, int status, const ErrorTable& table = {}) const;
};

/// Fields of usage reports, as they are on the wire.
enum class UsageField : std::uint8_t {
  prompt,      ///< prompt_tokens, input_tokens, promptTokenCount
  completion,  ///< completion_tokens, output_tokens, candidatesTokenCount
  total,
  cached,             ///< …_details.cached_tokens, cache_read_input_tokens, cachedContentTokenCount
  cached_top,         ///< Kimi: usage.cached_tokens; Mistral: num_cached_tokens
  cache_hit,          ///< DeepSeek: prompt_cache_hit_tokens
  cache_miss,         ///< DeepSeek: prompt_cache_miss_tokens
  cache_write,        ///< cache_write_tokens, cache_creation_input_tokens
  cache_write_short,  ///< ephemeral_5m_input_tokens, ttl_30m_tokens
  cache_write_long,   ///< ephemeral_1h_input_tokens, ttl_12h_tokens
  reasoning,          ///< reasoning_tokens, thinking_tokens, thoughtsTokenCount
  tool_prompt,        ///< toolUsePromptTokenCount
  web_searches,
  web_fetches,
  count_,
};

struct RawUsage {
  std::array<std::uint32_t, static_cast<std::size_t>(UsageField::count_)> values{};
  std::uint16_t open_mask = 0;  ///< fields seen in the report that is open
  std::uint16_t seen_mask = 0;  ///< fields of complete reports
  std::uint16_t doubts = 0;     ///< bits of UsageDoubt
  bool reported = false;        ///< at least one report is complete
  bool final = false;  ///< … and it was not Claude's first one, whose output is a placeholder
};

/// Where the SSE reader is within a line.
enum class SseStep : std::uint8_t {
  start,
  line_start,
  field_name,
  after_colon,
  data,
  event_name,
  skip
};

struct SseState {
  SseStep step = SseStep::start;
  bool after_cr = false;  ///< a LF that comes next belongs to the line that CR ended
  bool has_data = false;  ///< the open event has a data field
  bool event_open =
      false;  ///< bytes of an event, or of a comment, have come since the last blank line
  std::uint8_t name_size = 0;  ///< bytes of the field name, or of the byte order mark, seen
  std::array<char, 6> name{};
};

/// What is known of one event.
struct EventFlags {
  bool semantic = false;
  bool error = false;          ///< it names itself an error
  bool usage = false;          ///< it has a usage object
  bool has_choice = false;     ///< it cannot be the usage chunk
  bool choices_empty = false;  ///< it has choices: []
  bool ends = false;           ///< it ends the stream
  bool reasoning = false;      ///< reasoning text was counted in this choice
  friend bool operator==(const EventFlags&, const EventFlags&) = default;
};

/// Most events of a stream differ in their text only. The bytes before the text of one event, with
/// the reader's state behind them, and the bytes after it: an event that repeats them need not be
/// read again (event_memo.hpp).
struct EventMemo {
  std::uint16_t prefix_size = 0;
  std::uint8_t suffix_size = 0;
  std::uint8_t misses = 0;  ///< in a row
  std::uint8_t depth = 0;
  std::uint8_t role = 0;
  std::uint8_t object_levels = 0;
  EventFlags flags;  ///< behind the prefix
  EventFlags
      text_flags;  ///< behind the text, when the suffix was read: what it means depends on them
  std::array<std::uint8_t, 8> roles{};
  std::array<char, 256> prefix{};
  std::array<char, 64> suffix{};
};

struct MeterState {
  SseState lines;
  JsonState json;
  RawUsage usage;
  TokenClasses output;       ///< from deltas, or from a whole answer
  TokenClasses done_output;  ///< Responses: from .done events, for backends that send no deltas
  bool failed = false;       ///< an error was seen
  /// What it says: made with its first text, since few answers have one.
  std::unique_ptr<UpstreamError> error;

  std::uint32_t events = 0;
  std::uint32_t semantic_events = 0;
  std::uint32_t malformed = 0;
  std::uint8_t plain_size = 0;  ///< data that is not JSON: bytes compared with "[DONE]"
  bool plain = false;
  bool plain_done = true;

  EventFlags event;             ///< of the event that is open, or was completed last
  std::uint8_t error_name = 0;  ///< bytes of the SSE event name that match "error", 255: none
  EventMemo memo;

  [[nodiscard]] UpstreamError& error_texts() {
    if (!error) error = std::make_unique<UpstreamError>();
    return *error;
  }

  // The stream.
  bool sse = false;             ///< events are ended by blank lines, not by the JSON
  bool block_had_data = false;  ///< the block that a blank line just ended had data
  bool sse_data_open = false;   ///< the open event has a data line
  bool started = false;
  bool dropped_cr = false;  ///< withholding: a LF that comes next belongs to a dropped event
  bool end_seen = false;
  bool finish_seen = false;
  bool released = false;   ///< withholding: the open event's start went out
  std::uint16_t held = 0;  ///< withholding: bytes of the open event that the relay holds
};

/// What the error says; empty when none was seen.
[[nodiscard]] inline const UpstreamError& error_of(const MeterState& state) {
  static const UpstreamError kNone{};
  return state.error ? *state.error : kNone;
}

}  // namespace sluice::dialect
