// Writes one flat JSON object a line. Text that is not UTF-8 (it comes from clients) gets U+FFFD in
// its place.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::reconcile {

class JsonLine {
 public:
  explicit JsonLine(std::string& out) : out_(out) { out_.push_back('{'); }
  void end() { out_ += "}\n"; }

  void number(std::string_view name, std::int64_t value) {
    key(name);
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out_.append(digits, end);
  }
  void flag(std::string_view name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
  }
  /// `value` needs no escapes.
  void plain(std::string_view name, std::string_view value) {
    key(name);
    out_.append("\"").append(value).append("\"");
  }
  void text(std::string_view name, std::string_view value);

 private:
  void key(std::string_view name) {
    if (!first_) out_.push_back(',');
    first_ = false;
    out_.append("\"").append(name).append("\":");
  }
  std::string& out_;
  bool first_ = true;
};

/// Appends `text` with JSON's escapes (RFC 8259 §7) and without quotes.
void append_escaped(std::string& out, std::string_view text);

}  // namespace sluice::reconcile
