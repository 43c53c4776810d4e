#include "sluice/base/log.hpp"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace sluice {
namespace {

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "error";
}

void append_escaped(std::string& line, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      line += c;
    } else {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
      line += escaped;
    }
  }
}

}  // namespace

void log_line(LogLevel level, std::string_view area, std::string_view message) {
  std::string line;
  line.reserve(message.size() + 32);
  line += level_name(level);
  line += ' ';
  line += area;
  line += ' ';
  append_escaped(line, message);
  line += '\n';
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace sluice
