#include "catalog_text.hpp"

#include <algorithm>
#include <array>

namespace sluice::state {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// RFC 9110 §5.6.2.
bool is_token_char(char c) {
  return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// Headers that the edge writes itself.
bool is_reserved_header(std::string_view name) {
  constexpr std::array<std::string_view, 10> kReserved = {
      "host",    "content-length", "transfer-encoding", "connection",      "te", "trailer",
      "upgrade", "expect",         "keep-alive",        "proxy-connection"};
  return std::ranges::find(kReserved, lower(name)) != kReserved.end();
}

bool header_line_valid(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view name = line.substr(0, colon);
  return std::ranges::all_of(name, is_token_char) && !is_reserved_header(name) &&
         std::ranges::none_of(line.substr(colon + 1), is_control);
}

}  // namespace

bool name_valid(std::string_view text) {
  return !text.empty() && text.size() <= 256 &&
         std::ranges::none_of(text, [](char c) { return is_control(c) || c == ' '; });
}

bool value_valid(std::string_view text) {
  return text.size() <= 256 && std::ranges::none_of(text, is_control);
}

bool host_valid(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return is_lower_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':';
  });
}

bool base_path_valid(std::string_view text) {
  if (text.empty()) return true;
  return text.front() == '/' && text.back() != '/' && text.size() <= 256 &&
         text.find("..") == std::string_view::npos && std::ranges::all_of(text, [](char c) {
           return c > ' ' && c < 0x7F && c != '?' && c != '#';
         });
}

bool header_lines_valid(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find("\r\n");
    if (end == std::string_view::npos || !header_line_valid(text.substr(0, end))) return false;
    text.remove_prefix(end + 2);
  }
  return true;
}

bool error_lines_valid(std::string_view text) {
  const auto word = [](std::string_view part) {
    return !part.empty() && part.size() <= 60 &&
           std::ranges::all_of(part, [](char c) { return c > ' ' && c < 0x7F; });
  };
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    const std::string_view line = text.substr(0, end);
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos || !word(line.substr(0, blank)) ||
        !word(line.substr(blank + 1))) {
      return false;
    }
    text.remove_prefix(end + 1);
  }
  return true;
}

bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // last '*' and where its run began
  std::size_t run = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      run = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++run;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, 60));
  std::ranges::replace_if(out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

}  // namespace sluice::state
