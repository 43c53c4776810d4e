// Server-sent events, WHATWG HTML §9.2.6, from pieces that are cut anywhere. Line ends LF, CR and
// CRLF; one byte order mark; comments; several data lines. No buffer: a data line goes on to the
// sink piece by piece.
//
// The sink has: data_line() at the start of each data field, data(piece, window), event_line(),
// event_name(piece), dispatch() at a blank line after data, block_end() at every blank line.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "simd_block.hpp"
#include "sluice/dialect/meter_state.hpp"

namespace sluice::dialect {

template <class Sink>
class SseReader {
 public:
  SseReader(SseState& state, Sink& sink) : s_(state), sink_(sink) {}

  /// Reads a span and returns the bytes consumed: all of it, or, if asked to stop after an event,
  /// up to the end of the first blank line (`stopped()` is then true).
  std::size_t read(std::string_view span, bool stop_after_block) {
    begin_ = p_ = span.data();
    end_ = p_ + span.size();
    stopped_ = false;
    while (p_ < end_) {
      if (s_.after_cr) {
        s_.after_cr = false;
        if (*p_ == '\n') {
          ++p_;
          continue;
        }
      }
      step();
      if (stopped_ && stop_after_block) {
        if (s_.after_cr && p_ < end_) {
          s_.after_cr = false;
          if (*p_ == '\n') ++p_;
        }
        break;
      }
      stopped_ = false;
    }
    return static_cast<std::size_t>(p_ - begin_);
  }

  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  void step() {
    switch (s_.step) {
      case SseStep::start:
        return byte_order_mark();
      case SseStep::line_start:
        return line_start();
      case SseStep::field_name:
        return field_name();
      case SseStep::after_colon:
        if (*p_ == ' ') ++p_;
        s_.step = s_.name[0] == 'd' ? SseStep::data : SseStep::event_name;
        return;
      case SseStep::data:
      case SseStep::event_name:
      case SseStep::skip:
        return value();
    }
  }

  void byte_order_mark() {
    static constexpr char kMark[] = "\xef\xbb\xbf";
    if (*p_ == kMark[s_.name_size]) {
      ++p_;
      if (++s_.name_size < 3) return;
      s_.step = SseStep::line_start;
    } else if (s_.name_size == 0) {
      s_.step = SseStep::line_start;
    } else {
      // What came was the start of a field name that nobody knows.
      s_.event_open = true;
      s_.step = SseStep::skip;
    }
  }

  void line_start() {
    const char c = *p_;
    if (c == '\n' || c == '\r') {
      end_line();
      if (s_.has_data) sink_.dispatch();
      s_.has_data = s_.event_open = false;
      sink_.block_end();
      stopped_ = true;
      return;
    }
    s_.event_open = true;
    if (end_ - p_ >= 6 && std::memcmp(p_, "data: ", 6) == 0) {
      p_ += 6;
      start_data();
      s_.step = SseStep::data;
      return;
    }
    s_.name_size = 0;
    s_.step = c == ':' ? SseStep::skip : SseStep::field_name;
  }

  void field_name() {
    for (; p_ < end_; ++p_) {
      const char c = *p_;
      if (c == ':') {
        ++p_;
        start_field(SseStep::after_colon);
        return;
      }
      if (c == '\n' || c == '\r') {
        start_field(SseStep::line_start);
        end_line();
        return;
      }
      if (s_.name_size == s_.name.size()) {
        s_.step = SseStep::skip;
        return;
      }
      s_.name[s_.name_size++] = c;
    }
  }

  /// The name is complete; `next` is where its value is, if the name is known.
  void start_field(SseStep next) {
    const std::string_view name{s_.name.data(), s_.name_size};
    s_.step = SseStep::skip;
    if (name == "data") {
      start_data();
      s_.step = next;
    } else if (name == "event") {
      sink_.event_line();
      s_.step = next;
    }
  }

  void start_data() {
    sink_.data_line();
    s_.has_data = true;
  }

  void value() {
    const char* const start = p_;
    p_ = find_line_end(begin_, p_, end_);
    if (p_ != start) {
      const std::string_view piece{start, static_cast<std::size_t>(p_ - start)};
      if (s_.step == SseStep::data) sink_.data(piece, begin_);
      if (s_.step == SseStep::event_name) sink_.event_name(piece);
    }
    if (p_ < end_) end_line();
  }

  void end_line() {
    s_.after_cr = *p_++ == '\r';
    s_.step = SseStep::line_start;
  }

  SseState& s_;
  Sink& sink_;
  const char* begin_ = nullptr;
  const char* p_ = nullptr;
  const char* end_ = nullptr;
  bool stopped_ = false;
};

}  // namespace sluice::dialect
