// Runs the rules of one format over SSE, a JSON array or a JSON body.
#pragma once

#include "event_memo.hpp"
#include "meter_rules.hpp"
#include "sse_reader.hpp"

namespace sluice::dialect {

/// The entry points of one format's meter: one indirect call a span.
struct FormatMeter {
  /// Reads SSE; stops after a blank line if asked to, and says so. Returns bytes consumed.
  std::size_t (*read_sse)(MeterState&, std::string_view span, bool stop_after_block, bool& stopped);
  /// Reads a piece of a JSON body or array.
  void (*read_json)(MeterState&, std::string_view span);
  /// The end of an SSE body: an event without its blank line counts if its data is complete, as
  /// SDKs see it.
  void (*finish_sse)(MeterState&);
};

extern const FormatMeter kOpenaiMeter;     // openai_meter.cpp
extern const FormatMeter kResponsesMeter;  // responses_meter.cpp
extern const FormatMeter kClaudeMeter;     // claude_meter.cpp
extern const FormatMeter kGeminiMeter;     // gemini_meter.cpp

/// Feeds the data of SSE events to the JSON reader.
template <class Rules>
class EventSink {
 public:
  explicit EventSink(MeterState& state) : m_(state), rules_(state) {}

  void data_line() {
    if (m_.sse_data_open) return data("\n", nullptr);
    m_.sse_data_open = true;
    m_.plain = false;
    reset_json(m_.json);
    m_.json.role = static_cast<std::uint8_t>(MeterRole::root);
    rules_.reset_event();
  }

  void data(std::string_view piece, const char* window) {
    m_.started = true;
    if (!m_.plain && m_.json.step == JsonStep::value && m_.json.depth == 0) {
      while (!piece.empty() &&
             (piece.front() == ' ' || piece.front() == '\n' || piece.front() == '\t')) {
        piece.remove_prefix(1);
      }
      if (piece.empty()) return;
      if (piece.front() != '{') {
        m_.plain = m_.plain_done = true;
        m_.plain_size = 0;
      }
    }
    if (m_.plain) return plain(piece);
    if (window == nullptr) window = piece.data();
    const bool first = m_.json.step == JsonStep::value && m_.json.depth == 0;
    if (first && m_.memo.misses < kMaxMisses) {
      read_event<Rules>(m_, rules_, piece, window);
    } else {
      JsonReader<Rules>(m_.json, rules_, window).feed(piece);
    }
  }

  void event_line() { m_.error_name = 0; }
  void event_name(std::string_view piece) {
    static constexpr std::string_view kError = "error";
    for (const char c : piece) {
      const bool match = m_.error_name < kError.size() && kError[m_.error_name] == c;
      m_.error_name = match ? static_cast<std::uint8_t>(m_.error_name + 1) : 255;
    }
  }

  void dispatch() {
    if (m_.plain) {
      const bool done = m_.plain_done && m_.plain_size == kDone.size();
      m_.event.ends = done;
      m_.malformed += !done;
    } else if (m_.json.step != JsonStep::done) {
      ++m_.malformed;
    }
    rules_.end_event();
    m_.sse_data_open = false;
    had_data_ = true;
  }

  void block_end() {
    m_.error_name = 0;
    m_.block_had_data = had_data_;
    had_data_ = false;
  }

 private:
  static constexpr std::string_view kDone = "[DONE]";

  /// Data that is no JSON object: only its start matters.
  void plain(std::string_view piece) {
    for (const char c : piece) {
      if (m_.plain_size == kDone.size() || !m_.plain_done) return;
      m_.plain_done = kDone[m_.plain_size] == c;
      ++m_.plain_size;
    }
  }

  MeterState& m_;
  Rules rules_;
  bool had_data_ = false;
};

template <class Rules>
struct MeterRun {
  static std::size_t read_sse(MeterState& state, std::string_view span, bool stop_after_block,
                              bool& stopped) {
    EventSink<Rules> sink(state);
    SseReader<EventSink<Rules>> reader(state.lines, sink);
    const std::size_t consumed = reader.read(span, stop_after_block);
    stopped = reader.stopped();
    return consumed;
  }

  static void read_json(MeterState& state, std::string_view span) {
    Rules rules(state);
    JsonReader<Rules>(state.json, rules, span.data()).feed(span);
  }

  static void finish_sse(MeterState& state) {
    if (!state.lines.has_data) return;
    const bool whole =
        state.plain ? state.plain_done && state.plain_size == 6 : state.json.step == JsonStep::done;
    if (!whole) return;
    EventSink<Rules>(state).dispatch();
    state.lines.has_data = false;
  }

  static constexpr FormatMeter kMeter{read_sse, read_json, finish_sse};
};

}  // namespace sluice::dialect
