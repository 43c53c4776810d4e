#include "output.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cstdio>

namespace sluice::cli {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void write_fields(Writer& writer, const Record& record) {
  for (const auto& [name, value] : record) {
    writer.Key(name.c_str(), static_cast<rapidjson::SizeType>(name.size()));
    if (const auto* text = std::get_if<std::string>(&value)) {
      writer.String(text->c_str(), static_cast<rapidjson::SizeType>(text->size()));
    } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
      writer.Int64(*number);
    } else {
      writer.Bool(std::get<bool>(value));
    }
  }
}

void write_list(Writer& writer, const std::vector<Record>& records) {
  writer.StartArray();
  for (const Record& record : records) {
    writer.StartObject();
    write_fields(writer, record);
    writer.EndObject();
  }
  writer.EndArray();
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
      std::printf("%-*s%s", last ? 0 : static_cast<int>(widths[i]), line[i].c_str(), last ? "\n" : "  ");
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
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  write_list(writer, records);
  std::puts(buffer.GetString());
}

void print_record(bool json, const Record& record) {
  if (json) {
    std::puts(to_json(record).c_str());
  } else {
    print_lines(record);
  }
}

void print_record_with(bool json, const Record& record, const std::string& name, const std::vector<Record>& list) {
  if (!json) {
    print_lines(record);
    return print_table(list);
  }
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.StartObject();
  write_fields(writer, record);
  writer.Key(name.c_str());
  write_list(writer, list);
  writer.EndObject();
  std::puts(buffer.GetString());
}

std::string to_json(const Record& record) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.StartObject();
  write_fields(writer, record);
  writer.EndObject();
  return buffer.GetString();
}

}  // namespace sluice::cli
