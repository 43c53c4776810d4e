// Lines for the operator on stderr: start, stop, faults. Never on the request path: a request's
// record is the outbox row. One line an event, `level area message`, control bytes escaped.
#pragma once

#include <string_view>

namespace sluice {

enum class LogLevel { info, warning, error };

/// Writes one line. `area` is the module's name. Thread-safe, one write(2).
void log_line(LogLevel level, std::string_view area, std::string_view message);

}  // namespace sluice
