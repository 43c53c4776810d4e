// Header fields kept as text, "name: value\r\n" each, between the head they came from and the head
// they go into.
#pragma once

#include <string_view>

#include "sluice/http/writer.hpp"

namespace sluice::relay {

/// Writes each line as a field; the writer checks names and values.
inline void write_lines(http::HeadWriter& writer, std::string_view lines) {
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    const std::size_t colon = line.find(": ");
    if (colon != std::string_view::npos) {
      writer.field(line.substr(0, colon), line.substr(colon + 2));
    }
    if (end == std::string_view::npos) break;
    lines.remove_prefix(end + 2);
  }
}

}  // namespace sluice::relay
