// The tap on a response: it reads every byte once, in place, and alters none. Usage, end, errors,
// visible output and event boundaries, from spans that may be cut at any byte. No allocation
// but for an error's texts, bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sluice/base/units.hpp"
#include "sluice/dialect/format.hpp"
#include "sluice/dialect/meter_state.hpp"
#include "sluice/dialect/usage.hpp"

namespace sluice::dialect {

/// How the messages of a response body follow each other.
enum class Framing : std::uint8_t {
  sse,         ///< text/event-stream
  json_array,  ///< Gemini's stream without alt=sse
  json,        ///< one JSON value: see BodyMeter
};

struct StreamOptions {
  Quirks quirks;
  Framing framing = Framing::sse;
  /// Leave the usage chunk out that the client did not ask for (OpenAI Chat and Completions).
  bool withhold_usage = false;
};

/// What to do with the bytes that earlier calls told the relay to hold.
enum class Held : std::uint8_t {
  keep,     ///< nothing is held, or it stays held
  release,  ///< send them now, before anything of this span
  drop,     ///< they were the start of the usage chunk: forget them
};

/// What one call of feed() saw. The bytes of the span divide into pass, then drop, then hold:
/// `pass` bytes may go out, `drop` bytes must not, `hold` bytes are the start of an event that may
/// be the usage chunk: keep a copy until a later call releases or drops it (together at most
/// StreamMeter::kMaxHeld bytes). pass + drop + hold = consumed. Without withhold_usage pass is
/// always the whole span. Feed the rest (from `consumed`) again if consumed < size: that happens
/// only after a drop.
struct Fed {
  std::size_t consumed = 0;
  std::size_t pass = 0;
  std::size_t drop = 0;
  std::size_t hold = 0;
  Held held = Held::keep;
  bool semantic = false;       ///< a semantic event was completed in this call (design §12)
  bool semantic_open = false;  ///< the event that is still open is known to be one
  bool at_boundary = false;    ///< after these bytes an event of the gateway's own may be inserted
};

enum class StreamEnd : std::uint8_t {
  clean,      ///< the format's own end was seen
  error,      ///< an error event was seen
  truncated,  ///< neither: the upstream broke off
};

/// Meters one streamed response. Owner: the exchange; one thread. Lifecycle: construct, feed()
/// every span in order, then finish() once at the end of the body, however it ended.
class StreamMeter {
 public:
  static constexpr std::size_t kMaxHeld = 4096;  ///< bytes; usage chunks seen are below 1 KiB

  StreamMeter(Operation operation, const StreamOptions& options);

  /// Takes the next payload bytes (decoded of chunked encoding). The span may be of any size.
  Fed feed(std::string_view span);

  /// The end of the body. Bytes still held must be sent now.
  StreamEnd finish();

  /// Usage reported so far, normalised. Cumulative reports overwrite each other.
  [[nodiscard]] Usage usage() const;
  /// Tokens of the visible output so far, by class counts: text, reasoning text, tool arguments.
  [[nodiscard]] Tokens counted_output() const;
  /// The format's own end was seen: [DONE], message_stop, response.completed or .incomplete,
  /// finishReason.
  [[nodiscard]] bool ended() const { return state_.end_seen; }
  /// A finish reason was seen, which may be before the end.
  [[nodiscard]] bool finish_reason_seen() const { return state_.finish_seen; }
  /// An error event was seen; its class and text are in error().
  [[nodiscard]] bool failed() const { return state_.failed; }
  [[nodiscard]] const UpstreamError& error() const { return error_of(state_); }
  [[nodiscard]] bool at_boundary() const;
  /// Complete events so far, comments not counted; those whose data was not JSON.
  [[nodiscard]] std::uint32_t events() const { return state_.events; }
  [[nodiscard]] std::uint32_t malformed_events() const { return state_.malformed; }
  [[nodiscard]] std::uint32_t semantic_events() const { return state_.semantic_events; }

 private:
  Fed feed_withholding(std::string_view span);
  void scan(std::string_view span, bool stop_after_event);

  MeterState state_;
  StreamOptions options_;
  Operation operation_;
};

/// Meters a response body that is one JSON value: an answer or an error. Large bodies need no more
/// memory.
class BodyMeter {
 public:
  explicit BodyMeter(Operation operation, const Quirks& quirks = {});

  /// Takes the next bytes of the body.
  void feed(std::string_view span);

  /// True when the whole JSON value was read and nothing else but white space followed.
  [[nodiscard]] bool complete() const;
  /// The body is not JSON (so far).
  [[nodiscard]] bool malformed() const;
  /// Something other than white space came: DeepSeek sends blank lines while a request is queued.
  [[nodiscard]] bool started() const { return state_.started; }

  [[nodiscard]] Usage usage() const;
  [[nodiscard]] Tokens counted_output() const;
  /// An error member at the top of the body; xAI and MiniMax send them with status 200.
  [[nodiscard]] bool failed() const { return state_.failed; }
  [[nodiscard]] const UpstreamError& error() const { return error_of(state_); }

 private:
  MeterState state_;
  Quirks quirks_;
  Operation operation_;
};

}  // namespace sluice::dialect
