// Writes one flat JSON object a line. Text that is not UTF-8 (it comes from clients) gets U+FFFD in
// its place.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace sluice::reconcile {

/// A line is put together in a buffer of its own and appended by end() (an access record has 60
/// pieces, and appending to a string costs more than most of them). Names are literals.
class JsonLine {
 public:
  /// `out` must outlive it.
  explicit JsonLine(std::string& out) : out_(out) {}
  JsonLine(const JsonLine&) = delete;
  JsonLine& operator=(const JsonLine&) = delete;

  /// Once, at last.
  void end() {
    room(3);
    if (before_ == '{') *at_++ = '{';
    *at_++ = '}';
    *at_++ = '\n';
    spill();
  }

  template <std::size_t Bytes>
  void number(const char (&name)[Bytes], std::int64_t value) {
    key(name);
    at_ = std::to_chars(at_, buffer_.data() + buffer_.size(), value).ptr;
  }
  template <std::size_t Bytes>
  void flag(const char (&name)[Bytes], bool value) {
    key(name);
    put(value ? "true" : "false");
  }
  /// `value` needs no escapes.
  template <std::size_t Bytes>
  void plain(const char (&name)[Bytes], std::string_view value) {
    key(name);
    *at_++ = '"';
    put(value);
    *at_++ = '"';
  }
  template <std::size_t Bytes>
  void text(const char (&name)[Bytes], std::string_view value) {
    key(name);
    *at_++ = '"';
    put_escaped(value);
    *at_++ = '"';
  }

 private:
  static constexpr std::size_t kValueBytes = 24;  ///< quotes, or the digits of an int64

  /// Leaves room for kValueBytes after the key.
  template <std::size_t Bytes>
  void key(const char (&name)[Bytes]) {
    constexpr std::size_t kNameBytes = Bytes - 1;
    room(kNameBytes + 4 + kValueBytes);
    *at_++ = before_;
    before_ = ',';
    *at_++ = '"';
    std::memcpy(at_, name, kNameBytes);
    at_ += kNameBytes;
    *at_++ = '"';
    *at_++ = ':';
  }
  [[nodiscard]] std::size_t left() const {
    return static_cast<std::size_t>(buffer_.data() + buffer_.size() - at_);
  }
  void room(std::size_t bytes) {
    if (left() < bytes) spill();
  }
  void spill() {
    out_.append(buffer_.data(), at_);
    at_ = buffer_.data();
  }
  /// Leaves room for a quote.
  void put(std::string_view value) {
    if (left() <= value.size()) return put_long(value);
    if (!value.empty()) std::memcpy(at_, value.data(), value.size());
    at_ += value.size();
  }
  void put_long(std::string_view value);
  void put_escaped(std::string_view value);

  std::string& out_;
  std::array<char, 1024> buffer_;
  char* at_ = buffer_.data();
  char before_ = '{';  ///< of the next key
};

/// Appends `text` with JSON's escapes (RFC 8259 §7) and without quotes.
void append_escaped(std::string& out, std::string_view text);

}  // namespace sluice::reconcile
