// Reads the first piece of an event's data. Where it repeats the bytes before and behind the text
// of an earlier event of its stream, only the text is read: the reader is a function of the bytes,
// so the result is the same.
#pragma once

#include "meter_rules.hpp"

namespace sluice::dialect {

/// Events in a row that began otherwise, after which a stream is no longer compared: numbered
/// events never repeat.
inline constexpr std::uint8_t kMaxMisses = 16;

/// Puts the reader behind the prefix.
inline void restore_prefix(MeterState& state) {
  const EventMemo& memo = state.memo;
  state.json.depth = memo.depth;
  state.json.role = memo.role;
  state.json.object_levels = memo.object_levels;
  std::memcpy(state.json.roles.data(), memo.roles.data(), memo.roles.size());
  state.event = memo.flags;
}

inline bool repeats(std::string_view text, const char* known, std::size_t size) {
  return text.size() >= size && std::memcmp(text.data(), known, size) == 0;
}

template <class Rules>
void read_event(MeterState& state, Rules& rules, std::string_view piece, const char* window) {
  EventMemo& memo = state.memo;
  rules.texts = 0;
  rules.symbols_before = state.output.symbols;
  JsonReader<Rules> reader(state.json, rules, window);
  const bool known = memo.prefix_size != 0 && piece.size() > memo.prefix_size &&
                     repeats(piece, memo.prefix.data(), memo.prefix_size) && !rules.has_effects();
  if (!known) {
    ++memo.misses;
    rules.data_start = piece.data();
    reader.feed(piece);
    rules.data_start = nullptr;
    return;
  }
  memo.misses = 0;
  restore_prefix(state);
  reader.start(piece.substr(memo.prefix_size));
  reader.step();  // the text
  if (state.json.step != JsonStep::after_value) return reader.finish();
  const std::string_view suffix = reader.rest();
  if (memo.suffix_size != 0 && suffix.size() == memo.suffix_size &&
      state.event == memo.text_flags && repeats(suffix, memo.suffix.data(), memo.suffix_size)) {
    state.json.depth = 0;
    state.json.step = JsonStep::done;
    return;
  }
  const EventFlags flags = state.event;
  const std::uint32_t symbols = state.output.symbols;
  reader.finish();
  memo.suffix_size = 0;
  const bool nothing_else = state.json.step == JsonStep::done && rules.texts == 1 &&
                            state.event == flags && state.output.symbols == symbols &&
                            !rules.has_effects();
  if (nothing_else && suffix.size() <= memo.suffix.size()) {
    std::memcpy(memo.suffix.data(), suffix.data(), suffix.size());
    memo.suffix_size = static_cast<std::uint8_t>(suffix.size());
    memo.text_flags = flags;
  }
}

}  // namespace sluice::dialect
