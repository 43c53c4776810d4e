// What records say of a request's way. Numbers are stored: never renumber.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::state {

/// What went wrong with an attempt, as far as it speaks against channel or key.
enum class Fault : std::uint8_t {
  none = 0,   ///< answered, or refused for the caller's own fault
  broke = 1,  ///< no connection, broken, or silent for too long
  overloaded = 2,
  rate = 3,
  key_bad = 4,
  no_money = 5,
  drill = 6,  ///< made to fail by the operator
};
[[nodiscard]] std::string_view to_string(Fault fault);

/// What a request asked for, as the GenAI conventions of OpenTelemetry tell operations apart
/// (gen_ai.operation.name).
enum class WorkKind : std::uint16_t {
  unknown = 0,  ///< not said: of a request whose shard died, or of an older program
  chat = 1,
  text_completion = 2,
  embeddings = 3,
  generate_content = 4,
};
/// The conventions' name; empty for unknown.
[[nodiscard]] std::string_view to_string(WorkKind kind);

/// Why an attempt went where it went.
enum class RouteReason : std::uint8_t {
  unknown = 0,
  only = 1,         ///< there is no other channel
  priority = 2,     ///< the only usable one of the best tier
  weight = 3,       ///< drawn by weight
  session = 4,      ///< where the session was before
  pinned = 5,       ///< the client named it
  failover = 6,     ///< another one failed before
  passed_over = 7,  ///< a better one is left alone for now
  last_way = 8,     ///< it is left alone too, but so are all others
};
[[nodiscard]] std::string_view to_string(RouteReason reason);

}  // namespace sluice::state
