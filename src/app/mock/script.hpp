// A script is everything about the answers of one model and one kind of call that can be rendered
// beforehand. Sending a chunk is then one copy of a template with a few fixed-width fields filled
// in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "behaviour.hpp"
#include "personality.hpp"
#include "request_facts.hpp"

namespace sluice::mock {

/// Claimed usage in normal form: the classes do not overlap, but `output` includes `reasoning`.
struct Usage {
  std::int64_t input = 0;  ///< neither read from nor written to a cache
  std::int64_t cache_read = 0;
  std::int64_t cache_write = 0;
  std::int64_t output = 0;
  std::int64_t reasoning = 0;
};

/// One text with places for fixed-width fields; npos = the field is absent.
struct Template {
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::string bytes;
  std::vector<std::size_t> id_at;  ///< 16 hex digits each
  std::size_t stamp_at = kNone;  ///< 20 digits of nanoseconds, '#', 8 digits of the chunk's number
  std::size_t sequence_at = kNone;  ///< 8 characters, right-aligned (Responses)
  std::size_t comma_at = kNone;     ///< ',' that is '[' in the first element (Gemini array)
};

struct Script {
  Call call = Call::unknown;
  bool include_usage = false;
  const Personality* personality = nullptr;  ///< null: as the format's own provider
  std::string model;
  Behaviour behaviour;
  Template chunk;          ///< one content event, framed as one HTTP chunk
  std::string chunk_text;  ///< the text that a chunk delivers
  Template whole;          ///< body of a whole answer up to its usage; empty until used
};

/// What differs between two answers of one script.
struct Answer {
  std::uint64_t id = 0;
  Usage usage;  ///< as it stands at the end, true or false as the behaviour says
  std::int64_t chunks_sent = 0;
  std::int64_t items = 1;
};

[[nodiscard]] Script make_script(Call call, bool include_usage, std::string_view model,
                                 const Behaviour& behaviour,
                                 const Personality* personality = nullptr);

/// Whether a stream's usage is sent: Chat and Completions want to be asked for it.
[[nodiscard]] bool streams_usage(const Script& script);

/// What the answer claims when `chunks` were sent.
[[nodiscard]] Usage claimed_usage(const Script& script, std::int64_t counted_input,
                                  std::int64_t chunks);

/// Head of a stream and the events before its first chunk.
void append_stream_start(std::string& out, const Script& script, const Answer& answer);
/// The chunk with number answer.chunks_sent.
void append_chunk(std::string& out, const Script& script, const Answer& answer,
                  std::int64_t now_ns);
/// Finish, usage and terminator, and the end of the HTTP body.
void append_stream_end(std::string& out, const Script& script, const Answer& answer);
/// An error event in the middle of a stream, and the end of the HTTP body.
void append_stream_error(std::string& out, const Script& script, const Answer& answer);
/// A whole answer: head and body. Renders the script's whole at its first use.
void append_whole(std::string& out, Script& script, const Answer& answer);

}  // namespace sluice::mock
