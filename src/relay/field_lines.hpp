// Header fields kept as text, "name: value\r\n" each, between the head they came from and the head
// they go into.
#pragma once

#include <limits>
#include <string_view>

#include "request.hpp"
#include "sluice/http/writer.hpp"

namespace sluice::relay {

/// The lines of those fields of a head that are chosen, but for what its Connection names.
template <class Head>
Body chosen_lines(const Head& head, bool (*is_chosen)(const http::FieldView& field)) {
  constexpr std::size_t kUsualBytes = 224;
  constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
  Body lines;
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const http::FieldView field = head.field(i);
    if (!is_chosen(field) || head.connection_names(field.name)) continue;
    if (lines.capacity() == 0) lines = Body(kUsualBytes);
    for (const std::string_view part :
         {field.name, std::string_view(": "), field.value, std::string_view("\r\n")}) {
      static_cast<void>(lines.append(part, kNoLimit));
    }
  }
  return lines;
}

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
