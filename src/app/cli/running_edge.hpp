// The edge that runs on this host beside the command line: told to read its secrets anew, and asked
// which it has.
#pragma once

#include <cstdint>
#include <string>

#include "sluice/control/problem.hpp"

namespace sluice::cli {

/// Has the edge read certificates and secrets anew, and returns when every shard that serves has.
/// At once when no edge runs. Errors: forbidden (its user or root must ask), timed_out (a file is
/// not sound; its log says which).
[[nodiscard]] control::Outcome<> refresh_edge(const std::string& state_directory);

/// Whether every shard that serves knows this pepper. True when none serves.
[[nodiscard]] bool edge_knows_pepper(const std::string& state_directory, std::uint32_t version);

}  // namespace sluice::cli
