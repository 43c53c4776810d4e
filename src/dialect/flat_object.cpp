#include "sluice/dialect/flat_object.hpp"

namespace sluice::dialect {

void FlatObject::skip_blanks() {
  const std::size_t at = rest_.find_first_not_of(" \t\r\n,:{");
  rest_.remove_prefix(at == std::string_view::npos ? rest_.size() : at);
}

// `rest_` begins with a quote.
std::string_view FlatObject::take_string(bool& plain) {
  std::size_t end = 1;
  while (end < rest_.size() && rest_[end] != '"') {
    if (rest_[end] == '\\') {
      plain = false;
      ++end;
    }
    ++end;
  }
  if (end >= rest_.size()) {
    rest_ = {};
    return {};
  }
  const std::string_view text = rest_.substr(1, end - 1);
  rest_.remove_prefix(end + 1);
  return text;
}

// Numbers, words, and whatever is nested.
bool FlatObject::skip_value() {
  int depth = 0;
  while (!rest_.empty()) {
    const char c = rest_.front();
    if (c == '"') {
      bool plain = true;
      take_string(plain);
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}')) return true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    rest_.remove_prefix(1);
  }
  return false;
}

std::optional<FlatObject::Member> FlatObject::next() {
  for (;;) {
    skip_blanks();
    if (!rest_.starts_with('"')) return std::nullopt;
    bool plain = true;
    const std::string_view name = take_string(plain);
    const std::size_t at = rest_.find_first_not_of(" \t\r\n:");
    if (at == std::string_view::npos) return std::nullopt;
    rest_.remove_prefix(at);
    if (rest_.front() != '"') {
      if (!skip_value()) return std::nullopt;
      continue;
    }
    const std::string_view value = take_string(plain);
    if (plain) return Member{name, value};
  }
}

}  // namespace sluice::dialect
