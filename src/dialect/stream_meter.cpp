#include "sluice/dialect/stream_meter.hpp"

#include <algorithm>

#include "meter_run.hpp"
#include "usage.hpp"

namespace sluice::dialect {
namespace {

const FormatMeter& meter_of(Operation operation) {
  switch (format_of(operation)) {
    case Format::openai:
      return kOpenaiMeter;
    case Format::responses:
      return kResponsesMeter;
    case Format::claude:
      return kClaudeMeter;
    case Format::gemini:
      return kGeminiMeter;
  }
  return kOpenaiMeter;
}

Tokens count_output(Operation operation, const MeterState& state) {
  const Format format = format_of(operation);
  return std::max(estimate_tokens(format, state.output),
                  estimate_tokens(format, state.done_output));
}

/// The event that is open may still turn out to be the usage chunk: `choices` is empty or did not
/// come yet.
bool may_be_usage_chunk(const MeterState& state) {
  if (!state.sse_data_open) return true;
  return !state.event.has_choice && !state.plain && !state.event.error &&
         state.json.step != JsonStep::invalid;
}

bool is_usage_chunk(const MeterState& state) {
  return state.block_had_data && state.event.choices_empty && !state.event.has_choice &&
         state.event.usage && !state.event.error && !state.plain &&
         state.json.step == JsonStep::done;
}

bool open_text(const JsonState& json) {
  return json.step == JsonStep::in_string && !json.string_empty &&
         json.string_mode == static_cast<std::uint8_t>(StringMode::count);
}

}  // namespace

StreamMeter::StreamMeter(Operation operation, const StreamOptions& options)
    : options_(options), operation_(operation) {
  state_.sse = options.framing == Framing::sse;
  state_.json.role = static_cast<std::uint8_t>(MeterRole::root);
  const bool chat =
      operation == Operation::openai_chat || operation == Operation::openai_completions;
  options_.withhold_usage = options.withhold_usage && chat && state_.sse;
}

bool StreamMeter::at_boundary() const {
  const SseState& lines = state_.lines;
  if (state_.sse) {
    return !lines.event_open && (lines.step == SseStep::line_start || lines.step == SseStep::start);
  }
  const JsonState& json = state_.json;
  return json.depth <= 1 && (json.step == JsonStep::value || json.step == JsonStep::first_element ||
                             json.step == JsonStep::after_value || json.step == JsonStep::done);
}

Fed StreamMeter::feed(std::string_view span) {
  const std::uint32_t semantic = state_.semantic_events;
  Fed fed;
  if (options_.withhold_usage) {
    fed = feed_withholding(span);
  } else {
    bool stopped = false;
    const FormatMeter& meter = meter_of(operation_);
    if (state_.sse) {
      meter.read_sse(state_, span, false, stopped);
    } else {
      meter.read_json(state_, span);
    }
    fed.consumed = fed.pass = span.size();
  }
  fed.semantic = state_.semantic_events != semantic;
  fed.at_boundary = at_boundary();
  const bool in_event = state_.sse ? state_.sse_data_open : !fed.at_boundary;
  fed.semantic_open = in_event && (state_.event.semantic || open_text(state_.json));
  return fed;
}

Fed StreamMeter::feed_withholding(std::string_view span) {
  Fed fed;
  if (state_.dropped_cr && !span.empty()) {
    state_.dropped_cr = false;
    if (span.front() == '\n') {
      state_.lines.after_cr = false;
      fed.consumed = fed.drop = 1;
      return fed;
    }
  }
  const FormatMeter& meter = meter_of(operation_);
  std::size_t event_begin = 0;
  if (state_.lines.after_cr && !state_.lines.event_open && span.starts_with('\n')) {
    state_.lines.after_cr = false;  // it belongs to the event before
    event_begin = 1;
  }
  while (event_begin < span.size()) {
    bool stopped = false;
    const std::size_t end =
        event_begin + meter.read_sse(state_, span.substr(event_begin), true, stopped);
    if (!stopped) break;
    const bool drop = is_usage_chunk(state_) && !state_.released;
    if (state_.held != 0) fed.held = drop ? Held::drop : Held::release;
    state_.held = 0;
    state_.released = false;
    if (drop) {
      state_.dropped_cr = state_.lines.after_cr;
      fed.consumed = end;
      fed.pass = event_begin;
      fed.drop = end - event_begin;
      return fed;
    }
    event_begin = end;
  }
  fed.consumed = span.size();
  const std::size_t tail = span.size() - event_begin;
  if (tail == 0 || state_.released || !state_.lines.event_open) {
    fed.pass = span.size();
    return fed;
  }
  if (may_be_usage_chunk(state_) && state_.held + tail <= kMaxHeld) {
    state_.held = static_cast<std::uint16_t>(state_.held + tail);
    fed.pass = event_begin;
    fed.hold = tail;
    return fed;
  }
  if (state_.held != 0) fed.held = Held::release;
  state_.held = 0;
  state_.released = true;
  fed.pass = span.size();
  return fed;
}

StreamEnd StreamMeter::finish() {
  if (state_.sse) meter_of(operation_).finish_sse(state_);
  if (state_.failed) return StreamEnd::error;
  return state_.end_seen ? StreamEnd::clean : StreamEnd::truncated;
}

Usage StreamMeter::usage() const {
  return normalise_usage(format_of(operation_), state_.usage, options_.quirks);
}
Tokens StreamMeter::counted_output() const { return count_output(operation_, state_); }

BodyMeter::BodyMeter(Operation operation, const Quirks& quirks)
    : quirks_(quirks), operation_(operation) {
  state_.json.role = static_cast<std::uint8_t>(MeterRole::root);
}

void BodyMeter::feed(std::string_view span) {
  meter_of(operation_).read_json(state_, span);
  state_.started |= state_.json.step != JsonStep::value || state_.json.depth != 0;
}

bool BodyMeter::complete() const { return state_.json.step == JsonStep::done; }
bool BodyMeter::malformed() const { return state_.json.step == JsonStep::invalid; }
Usage BodyMeter::usage() const {
  return normalise_usage(format_of(operation_), state_.usage, quirks_);
}
Tokens BodyMeter::counted_output() const { return count_output(operation_, state_); }

}  // namespace sluice::dialect
