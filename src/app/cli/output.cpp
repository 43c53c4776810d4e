#include "output.hpp"

#include <algorithm>
#include <cstdio>

namespace sluice::cli {
namespace {

void append_text(std::string& out, const std::string& text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < ' ') {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  out += '"';
}

/// "name":value pairs without the braces.
void append_fields(std::string& out, const Record& record) {
  bool first = true;
  for (const auto& [name, value] : record) {
    if (!first) out += ',';
    first = false;
    append_text(out, name);
    out += ':';
    if (const auto* text = std::get_if<std::string>(&value)) {
      append_text(out, *text);
    } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
      out += std::to_string(*number);
    } else {
      out += std::get<bool>(value) ? "true" : "false";
    }
  }
}

void append_list(std::string& out, const std::vector<Record>& records) {
  out += '[';
  for (const Record& record : records) {
    if (out.back() != '[') out += ',';
    out += to_json(record);
  }
  out += ']';
}

std::string plain(const Field& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    std::string safe = *text;
    // Names and notes come from people: no control byte reaches the terminal.
    for (char& c : safe) {
      if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
    }
    return safe;
  }
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  return std::get<bool>(value) ? "yes" : "no";
}

void print_table(const std::vector<Record>& records) {
  if (records.empty()) return;
  std::vector<std::vector<std::string>> lines(1);
  for (const auto& [name, value] : records.front()) lines.front().push_back(name);
  for (const Record& record : records) {
    std::vector<std::string> line;
    for (const auto& [name, value] : record) line.push_back(plain(value));
    lines.push_back(std::move(line));
  }
  std::vector<std::size_t> widths(lines.front().size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const bool last = i + 1 == widths.size();
      std::printf("%-*s%s", last ? 0 : static_cast<int>(widths[i]), line[i].c_str(),
                  last ? "\n" : "  ");
    }
  }
}

void print_lines(const Record& record) {
  std::size_t width = 0;
  for (const auto& [name, value] : record) width = std::max(width, name.size());
  for (const auto& [name, value] : record) {
    std::printf("%-*s  %s\n", static_cast<int>(width), name.c_str(), plain(value).c_str());
  }
}

}  // namespace

void print_list(bool json, const std::vector<Record>& records) {
  if (!json) return print_table(records);
  std::string out;
  append_list(out, records);
  std::puts(out.c_str());
}

void print_record(bool json, const Record& record) {
  if (json) {
    std::puts(to_json(record).c_str());
  } else {
    print_lines(record);
  }
}

void print_record_with(bool json, const Record& record, const std::string& name,
                       const std::vector<Record>& list) {
  if (!json) {
    print_lines(record);
    return print_table(list);
  }
  std::string out = "{";
  append_fields(out, record);
  out += ',';
  append_text(out, name);
  out += ':';
  append_list(out, list);
  out += '}';
  std::puts(out.c_str());
}

std::string to_json(const Record& record) {
  std::string out = "{";
  append_fields(out, record);
  out += '}';
  return out;
}

}  // namespace sluice::cli
