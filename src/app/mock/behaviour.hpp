// What the stand-in does with one model: read from the model's name, so that a test chooses by
// calling `mock-l5-c100-g20`. Options are the dash-separated words after the word `mock`; flags of
// the program give the defaults. README.md lists every option.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::mock {

/// How the usage in the answer differs from the truth.
enum class UsageMode : std::uint8_t { exact, none, wrong, negative, huge, twice, shrinking };

/// What is wrong with a request, whatever is asked for: answered in the provider's own words.
enum class Trouble : std::uint8_t { none, key, money, rate, busy, caller };

struct Behaviour {
  std::int64_t latency_ns = 0;  ///< from the last request byte to the first answer byte
  std::int64_t first_ns = 0;    ///< from the answer's head to its first chunk
  std::int64_t gap_ns = 0;      ///< between two chunks
  std::int32_t chunks = 8;
  std::int32_t chunk_bytes =
      0;  ///< bytes of one SSE event, framing of HTTP not counted; 0 = what the text takes
  std::int32_t words_per_chunk = 0;   ///< 0 = 1, or as many as chunk_bytes has room for
  std::int32_t tokens_per_chunk = 0;  ///< claimed output tokens a chunk; 0 = one a word
  std::int32_t pings = 0;             ///< comments or ping events before the first chunk
  std::int32_t split_bytes = 0;       ///< longest single write; 0 = no limit
  std::int32_t bulk_bytes = 0;        ///< a padding field of this many bytes in whole answers

  std::int32_t status = 200;  ///< any other: a provider's error answer
  Trouble trouble = Trouble::none;
  std::int32_t retry_after_s = -1;  ///< header of error answers; -1 = none
  std::int32_t cut_after = -1;      ///< close after so many chunks (a whole answer: in its middle)
  std::int32_t stall_after = -1;    ///< say nothing more after so many chunks; 0 = not even a head
  std::int32_t error_after = -1;    ///< error event after so many chunks, status stays 200
  bool reset = false;               ///< cut with RST instead of FIN

  UsageMode usage = UsageMode::exact;
  std::int64_t input =
      -1;  ///< claimed input tokens; -1 = counted from the request (see request_tokens)
  std::int64_t output = -1;  ///< claimed output tokens; -1 = chunks sent × tokens a chunk
  std::int64_t cache_read = 0;
  std::int64_t cache_write = 0;
  std::int64_t reasoning = 0;  ///< added to the output

  std::int32_t hold = 0;  ///< 0 = no, -1 = until released, n = until n requests are held
  bool tool = false;      ///< the answer ends with a tool call
  bool stamps =
      false;  ///< each chunk carries its time and number: "@<ns, 20 digits>#<number, 8 digits>"
  bool chunked = false;    ///< whole answers in chunked coding
  bool close = false;      ///< close the connection after the answer
  bool until_eof = false;  ///< whole answers without a length, ended by closing

  /// Claimed output tokens of `sent` chunks.
  [[nodiscard]] std::int64_t output_tokens(std::int64_t sent) const;
};

inline constexpr std::int64_t kToolCallTokens = 10;  ///< claimed for a tool call, whatever its text

/// Applies one option word ("l5", "nousage"). False when it is not an option; `behaviour` is then
/// unchanged.
bool apply_option(std::string_view word, Behaviour& behaviour);

/// The defaults, changed by the options in a model's name. Unknown words are ignored. Allocates
/// nothing.
[[nodiscard]] Behaviour behaviour_of(std::string_view model, const Behaviour& defaults);

}  // namespace sluice::mock
