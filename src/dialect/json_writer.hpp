// Writes JSON text into a span that the caller owns. Never past its end: overflow is remembered.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace sluice::dialect {

class JsonWriter {
 public:
  explicit JsonWriter(std::span<char> out) : out_(out) {}

  /// Text as it is.
  JsonWriter& raw(std::string_view text) {
    if (text.size() > out_.size() - size_) {
      overflow_ = true;
      return *this;
    }
    std::memcpy(out_.data() + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }

  /// The inside of a JSON string: quotes, backslashes and control characters escaped, so that no
  /// line break gets through; bytes that are not UTF-8 become U+FFFD.
  JsonWriter& escaped(std::string_view text);

  /// A whole JSON string.
  JsonWriter& string(std::string_view text) { return raw("\"").escaped(text).raw("\""); }

  /// A decimal number.
  JsonWriter& number(long long value);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool overflow() const { return overflow_; }

 private:
  std::span<char> out_;
  std::size_t size_ = 0;
  bool overflow_ = false;
};

/// Length of the valid UTF-8 sequence at the start of `text`, or 0 if there is none.
[[nodiscard]] std::size_t utf8_sequence(std::string_view text);

}  // namespace sluice::dialect
