// One linear pass over a request body: is it JSON, which model, which limits, how much text, and
// where the few places are that the gateway edits. All offsets are bytes from the start of the
// body.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/dialect/format.hpp"
#include "sluice/dialect/inline_text.hpp"
#include "sluice/dialect/json_state.hpp"
#include "sluice/dialect/token_classes.hpp"

namespace sluice::dialect {

struct RequestLimits {
  std::size_t body_bytes = 32 * kMiB;       ///< at most 2^32 − 1: offsets are 32 bits
  std::uint8_t json_depth = kMaxJsonDepth;  ///< levels of objects and arrays, the body's own too
};

/// Where a value stands in the body, quotes included. size 0 = the field is absent.
struct ValueSpan {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  [[nodiscard]] bool present() const { return size != 0; }
};

/// What a body asks for that needs a decision of policy before it may be forwarded (design §12).
enum class Special : std::uint16_t {
  background = 1 << 0,  ///< Responses: background: true
  previous_response =
      1 << 1,                ///< previous_response_id, conversation, item_reference, stored prompt
  stored_file = 1 << 2,      ///< file ids, Gemini fileUri of the Files API
  remote_url = 1 << 3,       ///< images or files by http(s) URL
  service_tier = 1 << 4,     ///< any but auto, default, standard, standard_only
  speed = 1 << 5,            ///< any but standard
  cached_content = 1 << 6,   ///< Gemini cachedContent
  server_tools = 1 << 7,     ///< tools that the provider runs and bills apart (web search …)
  output_modality = 1 << 8,  ///< output other than text
  model_fallback = 1 << 9,   ///< the body names other models to fall back to
};

/// The output cap of a request: `max_tokens`, `max_completion_tokens`, `max_output_tokens`,
/// `maxOutputTokens`.
struct OutputCap {
  Tokens tokens = -1;  ///< the smallest cap named, −1 = none
  ValueSpan first;     ///< the number (or null) of the first such field
  ValueSpan second;    ///< of the other one, where a Chat request names both
};

struct RequestScan {
  Operation operation = Operation::openai_chat;
  std::uint32_t body_bytes = 0;

  ModelName model;  ///< decoded; empty where the path names it
  ValueSpan model_value;

  bool stream = false;
  bool include_usage = false;  ///< stream_options.include_usage is true
  ValueSpan stream_options;    ///< the object (or null)
  ValueSpan include_usage_value;

  OutputCap cap;
  std::uint32_t choices = 1;  ///< n, best_of or candidateCount; times the prompts of a completion
  std::uint16_t special = 0;  ///< bits of Special

  std::uint32_t messages = 0;  ///< messages, input items, contents or embedding inputs
  std::uint32_t tools = 0;
  std::uint32_t images = 0;
  std::uint32_t audios = 0;
  std::uint32_t documents = 0;
  std::uint32_t videos = 0;
  std::uint64_t audio_bytes = 0;     ///< base64 bytes of inline audio and video
  std::uint64_t document_bytes = 0;  ///< base64 bytes of inline documents
  std::uint64_t opaque_bytes =
      0;  ///< bytes of encrypted or encoded strings that the model reads back
  std::uint32_t input_token_ids = 0;  ///< embeddings and completions given as token numbers
  TokenClasses text;                  ///< everything that the model reads as text

  ValueSpan
      session_hint;  ///< prompt_cache_key, or else metadata.user_id, or else user: raw JSON string
  ValueSpan metadata;  ///< the object, where it is one

  // Where new members go: just after the opening brace, and whether a comma must follow.
  std::uint32_t root_insert = 0;
  bool root_empty = true;
  std::uint32_t options_insert = 0;  ///< inside stream_options
  bool options_empty = true;
  std::uint32_t config_insert = 0;  ///< inside Gemini's generationConfig; 0 = there is none
  bool config_empty = true;
  ValueSpan config_value;  ///< generationConfig as a whole (or null)

  [[nodiscard]] bool has(Special bit) const {
    return (special & static_cast<std::uint16_t>(bit)) != 0;
  }
};

/// Scans the body of `operation`. One pass, no allocation, no recursion.
/// The body must be one JSON object in valid UTF-8. Refused, since two parsers could read them
/// differently: a field that matters here given twice, or spelt in other letter case (`Model`), at
/// the places where it is read. Errors (source client): too_large (over limits.body_bytes),
/// bad_syntax (not JSON, not UTF-8), unsupported (over limits.json_depth), bad_value (no model, a
/// field that matters of the wrong type or out of range, duplicates).
[[nodiscard]] Result<RequestScan> scan_request(Operation operation, std::string_view body,
                                               const RequestLimits& limits = {});

/// Input tokens of the request, without margin: text by class, messages and tools by a constant
/// each, images, audio and documents flat (facts/wire §7). Input that is not in the body is not in
/// it: see RequestScan::special.
[[nodiscard]] Tokens estimate_input_tokens(const RequestScan& scan);

/// Replace `remove` bytes at `offset` of the body by `text(edit)`.
struct Edit {
  std::uint32_t offset = 0;
  std::uint32_t remove = 0;
  std::uint16_t text_offset = 0;  ///< into the list's own storage
  std::uint16_t text_size = 0;
};

/// What the gateway changes in a body: sorted by offset, not overlapping. Holds its own text: may
/// be copied.
class EditList {
 public:
  static constexpr std::size_t kMaxEdits = 5;

  EditList() {}  // NOLINT(modernize-use-equals-default): the storage stays uninitialised
  /// Copies what is used of the storage.
  EditList(const EditList& other) { *this = other; }
  EditList& operator=(const EditList& other);

  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] const Edit& operator[](std::size_t index) const { return edits_[index]; }
  [[nodiscard]] std::string_view text(const Edit& edit) const {
    return {text_.data() + edit.text_offset, edit.text_size};
  }
  /// Length of the edited body.
  [[nodiscard]] std::uint64_t edited_bytes(std::uint64_t body_bytes) const;

 private:
  friend class EditWriter;
  std::array<Edit, kMaxEdits> edits_;
  std::array<char, 1536> text_;
  std::uint16_t text_used_ = 0;
  std::uint8_t count_ = 0;
};

struct EditWish {
  std::string_view upstream_model;  ///< empty, or equal to the client's: not replaced
  bool include_usage = false;       ///< make sure that the stream reports usage
  /// The body that was scanned: take `stream_options` out of it. Empty: it stays.
  std::string_view without_stream_options = {};
  Tokens output_cap = -1;  ///< ≥ 0: no more output than this; −1 = leave it
  std::string_view cap_field =
      {};  ///< name for a Chat cap that is absent; default max_completion_tokens
};

/// The edits for a scanned body. No allocation. `include_usage` acts on streamed Chat and
/// Completions only. Errors: too_large (names that do not fit), source self.
[[nodiscard]] Result<EditList> plan_edits(const RequestScan& scan, const EditWish& wish);

}  // namespace sluice::dialect
