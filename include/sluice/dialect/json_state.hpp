// The state of the incremental JSON reader between two spans: plain data, so that a meter can hold
// it by value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::dialect {

inline constexpr std::uint8_t kMaxJsonDepth = 64;

/// What the reader expects next, or which token is open.
enum class JsonStep : std::uint8_t {
  value,
  first_key,  ///< after '{'
  key,        ///< after ',' in an object
  colon,
  first_element,  ///< after '['
  after_value,    ///< ',' or the closing bracket
  in_key,
  in_string,
  in_number,
  in_literal,
  done,
  invalid,
};

struct JsonState {
  std::uint64_t object_levels = 0;          ///< bit of a level: it is an object, else an array
  std::uint8_t depth = 0;                   ///< open containers
  std::uint8_t depth_most = kMaxJsonDepth;  ///< more are invalid; at most kMaxJsonDepth
  bool too_deep = false;                    ///< that is what made it invalid
  JsonStep step = JsonStep::value;
  std::uint8_t role = 0;         ///< what the value that comes next, or is open, means
  std::uint8_t string_mode = 0;  ///< skip, count or capture
  std::uint8_t escape =
      0;  ///< 0 none, 1 after a backslash, 2 to 5: hex digits that are missing, plus 1
  std::uint8_t part = 0;  ///< phase of an open number or letters of an open literal
  std::uint8_t token_size = 0;
  bool token_overflow = false;  ///< the token is longer than the buffer: unknown
  bool negative = false;
  bool fraction = false;
  bool string_empty = true;
  std::uint16_t hex = 0;
  std::uint16_t high_surrogate = 0;
  std::uint64_t number = 0;  ///< integer part so far, saturated
  std::array<std::uint8_t, kMaxJsonDepth> roles{};
  std::array<char, 64> token{};  ///< a key or short string that was cut or has escapes
};

}  // namespace sluice::dialect
