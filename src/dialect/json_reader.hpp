// An incremental JSON reader: takes a document in pieces that are cut anywhere, checks its grammar,
// and tells a set of rules what it finds. No recursion, no allocation; only keys and short strings
// that are cut are copied.
//
// Rules are a class with these members (no virtual calls). A role is a small number that the rules
// give to every value, so that they know where they are. Role 0 means that nothing in a value
// matters: it is checked, no more.
//   uint8_t role_of_key(uint8_t container, Key, const JsonString& name)
//   uint8_t role_of_element(uint8_t container)
//   StringMode string_mode(uint8_t role)
//   TokenClasses& classes(uint8_t role)                  where StringMode::count counts
//   void on_text_start(const char* quote)                before a string that is counted
//   void collect(uint8_t role, std::string_view piece)   decoded text under StringMode::collect
//   void on_string(uint8_t role, const JsonString&)      at the closing quote
//   void on_number(uint8_t role, const JsonNumber&)
//   void on_literal(uint8_t role, JsonLiteral, std::string_view raw)
//   void on_open(uint8_t role, bool object, const char* p)    p: just after the bracket
//   void on_close(uint8_t role, bool object, const char* p)   p: just after the bracket
// Raw views are empty where the token was cut between two pieces.
#pragma once

#include <algorithm>
#include <string_view>

#include "json_keys.hpp"
#include "json_text.hpp"
#include "simd_block.hpp"
#include "sluice/dialect/json_state.hpp"
#include "token_counter.hpp"

namespace sluice::dialect {

enum class StringMode : std::uint8_t {
  skip,
  count,    ///< into classes(role)
  capture,  ///< whole, at most 64 bytes where it is cut or has escapes
  collect,  ///< piece by piece to collect(role)
};
enum class JsonLiteral : std::uint8_t { true_, false_, null_ };

struct JsonString {
  std::string_view text;  ///< capture: decoded
  std::string_view raw;   ///< with quotes
  bool empty;             ///< ""
  bool
      overflow;  ///< capture: cut or with escapes, and longer than 64 bytes: text is its first part
};

struct JsonNumber {
  std::uint64_t magnitude;  ///< integer part, saturated at 2^64 − 1
  bool negative;
  bool fraction;  ///< has a fraction or an exponent
  std::string_view raw;
};

/// Makes the state ready for another document.
inline void reset_json(JsonState& state) {
  state.object_levels = 0;
  state.depth = 0;
  state.too_deep = false;
  state.step = JsonStep::value;
  state.role = 0;
  state.escape = 0;
  state.high_surrogate = 0;
}

template <class Rules>
class JsonReader {
 public:
  /// `window` is where readable bytes start (at most `piece.data()`).
  JsonReader(JsonState& state, Rules& rules, const char* window)
      : s_(state), rules_(rules), begin_(window) {}

  /// Reads one piece; a reader is made anew for each. Stops early only if the document is invalid.
  void feed(std::string_view piece) {
    start(piece);
    finish();
  }

  /// The same in parts: start(), any number of step(), then finish().
  void start(std::string_view piece) {
    p_ = piece.data();
    end_ = p_ + piece.size();
  }
  void finish() {
    while (p_ < end_ && s_.step != JsonStep::invalid) step();
  }
  /// What was not read yet.
  [[nodiscard]] std::string_view rest() const { return {p_, static_cast<std::size_t>(end_ - p_)}; }

  /// Reads one token or more. There must be something to read.
  void step() {
    switch (s_.step) {
      case JsonStep::value:
      case JsonStep::first_element:
        return value();
      case JsonStep::first_key:
      case JsonStep::key:
        return *p_ == '"' ? members() : key();
      case JsonStep::colon:
        return colon();
      case JsonStep::after_value:
        return after_value();
      case JsonStep::in_key:
      case JsonStep::in_string:
        return string_rest();
      case JsonStep::in_number:
        return number_rest(p_, false);
      case JsonStep::in_literal:
        return literal_rest();
      case JsonStep::done:
        if (skip_space()) invalid();
        return;
      case JsonStep::invalid:
        return;
    }
  }

 private:
  void invalid() { s_.step = JsonStep::invalid; }

  void value_done() { s_.step = s_.depth == 0 ? JsonStep::done : JsonStep::after_value; }

  /// True if a byte that is not white space is at p_.
  bool skip_space() {
    while (p_ < end_) {
      const char c = *p_;
      if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return true;
      ++p_;
    }
    return false;
  }

  void value() {
    if (!skip_space()) return;
    const char c = *p_;
    if (s_.step == JsonStep::first_element) {
      if (c == ']') return close(false);
      element_role();
    }
    switch (c) {
      case '"':
        return string();
      case '{':
        return open(true);
      case '[':
        return open(false);
      case 't':
        return literal(JsonLiteral::true_);
      case 'f':
        return literal(JsonLiteral::false_);
      case 'n':
        return literal(JsonLiteral::null_);
      default:
        if (c != '-' && (c < '0' || c > '9')) return invalid();
        return number();
    }
  }

  void open(bool object) {
    if (s_.depth == s_.depth_most) {
      s_.too_deep = true;
      return invalid();
    }
    const std::uint64_t bit = std::uint64_t{1} << s_.depth;
    s_.object_levels = object ? s_.object_levels | bit : s_.object_levels & ~bit;
    s_.roles.data()[s_.depth++] = s_.role;
    s_.step = object ? JsonStep::first_key : JsonStep::first_element;
    ++p_;
    if (s_.role != 0) rules_.on_open(s_.role, object, p_);
  }

  void element_role() {
    const std::uint8_t inside = container();
    s_.role = inside == 0 ? std::uint8_t{0} : rules_.role_of_element(inside);
  }

  void close(bool object) {
    ++p_;
    --s_.depth;
    value_done();
    const std::uint8_t role = s_.roles.data()[s_.depth];
    if (role != 0) rules_.on_close(role, object, p_);
  }

  void after_value() {
    if (!skip_space()) return;
    const bool object = in_object();
    const char c = *p_;
    if (c == ',') {
      ++p_;
      if (object) {
        s_.step = JsonStep::key;
      } else {
        element_role();
        s_.step = JsonStep::value;
      }
      return;
    }
    if (c == (object ? '}' : ']')) return close(object);
    invalid();
  }

  void key() {
    if (!skip_space()) return;
    if (*p_ == '}' && s_.step == JsonStep::first_key) return close(true);
    if (*p_ != '"') return invalid();
    const char* const start = ++p_;
    const char* const hit = find_string_special(begin_, start, end_);
    if (hit != end_ && *hit == '"') {
      const auto size = static_cast<std::size_t>(hit - start);
      p_ = hit + 1;
      return key_found(find_key({start, size}),
                       {{start, size}, {start - 1, size + 2}, size == 0, false});
    }
    start_token(JsonStep::in_key, StringMode::capture);
    raw_start_ = start - 1;
  }

  void key_found(Key key, const JsonString& name) {
    s_.step = JsonStep::colon;
    const std::uint8_t inside = container();
    s_.role = inside == 0 ? std::uint8_t{0} : rules_.role_of_key(inside, key, name);
    if (p_ < end_ && *p_ == ':') {
      ++p_;
      s_.step = JsonStep::value;
    }
  }

  /// The quick way through members that are written without white space and stand whole in the
  /// piece, from the opening quote of a key on, into objects and out of them. Whatever is not so is
  /// left to the other steps.
  void members() {
    std::uint8_t inside = container();
    while (member(inside)) {
      if (s_.step == JsonStep::first_key) {  // its value is an object: go in
        if (p_ == end_ || *p_ != '"') return;
        inside = s_.role;
        continue;
      }
      while (p_ < end_ && *p_ == '}') {
        close(true);
        if (s_.step != JsonStep::after_value || !in_object()) return;
        inside = container();
      }
      if (end_ - p_ < 2 || p_[0] != ',' || p_[1] != '"') return;
      ++p_;
      s_.step = JsonStep::key;
    }
  }

  /// One key and its value, or its value's opening brace. False where the quick way ends.
  [[gnu::always_inline]] bool member(std::uint8_t inside) {
    const char* const start = p_ + 1;
    if (end_ - p_ < 34) {
      key();
      return false;
    }
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(start));
    const std::uint32_t hits = string_specials({bytes, 0, 32, ~0U});
    const auto size = static_cast<std::size_t>(std::countr_zero(hits));
    if (hits == 0 || start[size] != '"' || start[size + 1] != ':') {
      key();
      return false;
    }
    p_ = start + size + 2;
    s_.step = JsonStep::value;
    s_.role = 0;
    if (inside != 0) {
      s_.role = rules_.role_of_key(inside, find_key(bytes, start, size),
                                   {{start, size}, {start - 1, size + 2}, size == 0, false});
    }
    if (p_ == end_) return false;
    if (*p_ == '"') {
      string();
    } else if (*p_ == '{') {
      open(true);
    } else {
      value();
    }
    return s_.step == JsonStep::after_value || s_.step == JsonStep::first_key;
  }

  [[nodiscard]] bool in_object() const { return ((s_.object_levels >> (s_.depth - 1U)) & 1) != 0; }

  /// Role of the innermost open container.
  [[nodiscard]] std::uint8_t container() const { return s_.roles.data()[s_.depth - 1U]; }

  void colon() {
    if (!skip_space()) return;
    if (*p_ != ':') return invalid();
    ++p_;
    s_.step = JsonStep::value;
  }

  void start_token(JsonStep step, StringMode mode) {
    s_.step = step;
    s_.string_mode = static_cast<std::uint8_t>(mode);
    s_.token_size = 0;
    s_.token_overflow = false;
    s_.string_empty = true;
  }

  void string() {
    const char* const quote = p_++;
    const StringMode mode = s_.role == 0 ? StringMode::skip : rules_.string_mode(s_.role);
    if (mode == StringMode::count) rules_.on_text_start(quote);
    const char* const hit = mode == StringMode::count
                                ? count_until_special(rules_.classes(s_.role), begin_, p_, end_)
                                : find_string_special(begin_, p_, end_);
    if (hit != end_ && *hit == '"') [[likely]] {
      const char* const start = p_;
      p_ = hit + 1;
      value_done();
      if (s_.role == 0) return;
      if (mode == StringMode::collect) {
        rules_.collect(s_.role, {start, static_cast<std::size_t>(hit - start)});
      }
      const auto size = static_cast<std::size_t>(hit - start);
      return rules_.on_string(s_.role, {{start, size}, {quote, size + 2}, size == 0, false});
    }
    start_token(JsonStep::in_string, mode);
    raw_start_ = quote;
    if (mode == StringMode::count) {  // counted already: go on behind it
      s_.string_empty = hit == p_;
      p_ = hit;
    }
    if (p_ < end_) string_rest();
  }

  /// The rest of a string or key that was cut or has an escape.
  void string_rest() {
    const auto mode = static_cast<StringMode>(s_.string_mode);
    while (p_ < end_) {
      if (s_.escape != 0) {
        if (!escape(*p_++)) return invalid();
        continue;
      }
      if (*p_ != '\\') flush_surrogate();  // before what follows it is counted
      const char* const start = p_;
      const char* const hit = mode == StringMode::count
                                  ? count_until_special(rules_.classes(s_.role), begin_, p_, end_)
                                  : find_string_special(begin_, p_, end_);
      if (hit != start) {
        s_.string_empty = false;
        append(mode, {start, static_cast<std::size_t>(hit - start)});
      }
      p_ = hit;
      if (p_ == end_) return;
      ++p_;
      if (*hit == '"') return string_done();
      if (*hit != '\\') return invalid();
      s_.escape = 1;
    }
  }

  void string_done() {
    flush_surrogate();
    const std::string_view token{s_.token.data(), s_.token_size};
    const std::string_view raw =
        raw_start_ != nullptr
            ? std::string_view{raw_start_, static_cast<std::size_t>(p_ - raw_start_)}
            : std::string_view{};
    const JsonString text{token, raw, s_.string_empty, s_.token_overflow};
    if (s_.step == JsonStep::in_key) {
      return key_found(s_.token_overflow ? Key::unknown : find_key(token), text);
    }
    value_done();
    if (s_.role != 0) rules_.on_string(s_.role, text);
  }

  /// One byte of an escape sequence; false if it cannot be one.
  bool escape(char c) {
    s_.string_empty = false;
    if (s_.escape == 1) {
      if (c == 'u') {
        s_.escape = 5;
        s_.hex = 0;
        return true;
      }
      const int decoded = simple_escape(c);
      if (decoded < 0) return false;
      s_.escape = 0;
      flush_surrogate();
      emit(static_cast<std::uint32_t>(decoded));
      return true;
    }
    const int digit = hex_value(c);
    if (digit < 0) return false;
    s_.hex = static_cast<std::uint16_t>((s_.hex << 4) | digit);
    if (--s_.escape == 1) {
      s_.escape = 0;
      utf16_unit(s_.hex);
    }
    return true;
  }

  void utf16_unit(std::uint16_t unit) {
    if (s_.high_surrogate != 0 && unit >= 0xdc00 && unit < 0xe000) {
      const std::uint32_t high = s_.high_surrogate - 0xd800U;
      s_.high_surrogate = 0;
      return emit(0x10000 + (high << 10) + (unit - 0xdc00U));
    }
    flush_surrogate();
    if (unit >= 0xd800 && unit < 0xdc00) {
      s_.high_surrogate = unit;
      return;
    }
    emit(unit >= 0xdc00 && unit < 0xe000 ? 0xfffdU : unit);
  }

  /// A high surrogate that no low one followed is one unknown character.
  void flush_surrogate() {
    if (s_.high_surrogate == 0) return;
    s_.high_surrogate = 0;
    emit(0xfffd);
  }

  void emit(std::uint32_t codepoint) {
    const auto mode = static_cast<StringMode>(s_.string_mode);
    if (mode == StringMode::count) return rules_.classes(s_.role).add_codepoint(codepoint);
    if (mode == StringMode::skip) return;
    char utf8[4];
    append(mode, {utf8, encode_utf8(codepoint, utf8)});
  }

  void append(StringMode mode, std::string_view text) {
    if (mode == StringMode::collect) return rules_.collect(s_.role, text);
    if (mode != StringMode::capture) return;
    if (text.size() > s_.token.size() - s_.token_size) s_.token_overflow = true;
    const std::size_t size = std::min<std::size_t>(text.size(), s_.token.size() - s_.token_size);
    std::memcpy(s_.token.data() + s_.token_size, text.data(), size);
    s_.token_size = static_cast<std::uint8_t>(s_.token_size + size);
  }

  // Phases of a number, RFC 8259 §6. A number may end after zero, integer, decimals and power.
  enum Phase : std::uint8_t {
    kStart,
    kMinus,
    kZero,
    kInteger,
    kPoint,
    kDecimals,
    kE,
    kESign,
    kPower
  };

  static std::uint8_t next_phase(std::uint8_t phase, char c) {
    constexpr std::uint8_t kNone = 255;
    const bool digit = c >= '0' && c <= '9';
    const bool e = c == 'e' || c == 'E';
    switch (phase) {
      case kStart:
        return c == '-' ? kMinus : c == '0' ? kZero : digit ? kInteger : kNone;
      case kMinus:
        return c == '0' ? kZero : digit ? kInteger : kNone;
      case kZero:
        return c == '.' ? kPoint : e ? kE : kNone;
      case kInteger:
        return digit ? kInteger : c == '.' ? kPoint : e ? kE : kNone;
      case kPoint:
        return digit ? kDecimals : kNone;
      case kDecimals:
        return digit ? kDecimals : e ? kE : kNone;
      case kE:
        return digit ? kPower : (c == '+' || c == '-') ? kESign : kNone;
      case kESign:
      case kPower:
        return digit ? kPower : kNone;
      default:
        return kNone;
    }
  }

  /// A number; integers that stand whole in the piece, as nearly all do, without the phases.
  void number() {
    s_.part = 0;
    s_.number = 0;
    s_.negative = s_.fraction = false;
    const char* p = p_;
    std::uint64_t value = 0;
    while (p < end_ && *p >= '0' && *p <= '9' && p - p_ < 18)
      value = value * 10 + static_cast<std::uint64_t>(*p++ - '0');
    const bool plain =
        p < end_ && p != p_ && (*p_ != '0' || p - p_ == 1) && (*p == ',' || *p == '}' || *p == ']');
    if (!plain) return number_rest(p_, true);
    const std::string_view raw{p_, static_cast<std::size_t>(p - p_)};
    p_ = p;
    value_done();
    if (s_.role != 0) rules_.on_number(s_.role, {value, false, false, raw});
  }

  void number_rest(const char* start, bool whole) {
    std::uint8_t phase = s_.part;
    for (; p_ < end_; ++p_) {
      const std::uint8_t next = next_phase(phase, *p_);
      if (next == 255) break;
      phase = next;
      if (phase == kInteger) add_digit(*p_);
      if (phase == kMinus) s_.negative = true;
      if (phase >= kPoint) s_.fraction = true;
    }
    s_.part = phase;
    s_.step = JsonStep::in_number;
    if (p_ == end_) return;
    if (phase != kZero && phase != kInteger && phase != kDecimals && phase != kPower)
      return invalid();
    value_done();
    if (s_.role == 0) return;
    const auto size = static_cast<std::size_t>(p_ - start);
    rules_.on_number(s_.role, {s_.number, s_.negative, s_.fraction,
                               whole ? std::string_view{start, size} : std::string_view{}});
  }

  void add_digit(char c) {
    std::uint64_t next = 0;
    const bool over = __builtin_mul_overflow(s_.number, std::uint64_t{10}, &next) ||
                      __builtin_add_overflow(next, static_cast<std::uint64_t>(c - '0'), &next);
    s_.number = over ? UINT64_MAX : next;
  }

  static std::string_view spelling(JsonLiteral literal) {
    using namespace std::string_view_literals;
    return literal == JsonLiteral::true_    ? "true"sv
           : literal == JsonLiteral::false_ ? "false"sv
                                            : "null"sv;
  }

  void literal(JsonLiteral which) {
    const std::string_view text = spelling(which);
    if (static_cast<std::size_t>(end_ - p_) >= text.size()) [[likely]] {
      if (std::memcmp(p_, text.data(), text.size()) != 0) return invalid();
      const std::string_view raw{p_, text.size()};
      p_ += text.size();
      value_done();
      if (s_.role != 0) rules_.on_literal(s_.role, which, raw);
      return;
    }
    s_.part = static_cast<std::uint8_t>(static_cast<unsigned>(which) << 4);
    s_.step = JsonStep::in_literal;
    literal_rest();
  }

  void literal_rest() {
    const auto which = static_cast<JsonLiteral>(s_.part >> 4);
    const std::string_view text = spelling(which);
    for (; p_ < end_ && (s_.part & 0xfU) < text.size(); ++p_, ++s_.part) {
      if (*p_ != text[s_.part & 0xfU]) return invalid();
    }
    if ((s_.part & 0xfU) != text.size()) return;
    value_done();
    if (s_.role != 0) rules_.on_literal(s_.role, which, {});
  }

  JsonState& s_;
  Rules& rules_;
  const char* begin_;
  const char* p_ = nullptr;
  const char* end_ = nullptr;
  const char* raw_start_ = nullptr;  ///< where the open token began, if in this piece
};

}  // namespace sluice::dialect
