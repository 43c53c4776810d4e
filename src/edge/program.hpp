// Starts programs. Never by fork: LMDB and the ring do not survive one.
#pragma once

#include <sys/types.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace sluice::edge {

/// Starts `command` with no signal blocked and of our descriptors these alone. `pid` is set.
/// Returns an errno, or 0.
[[nodiscard]] int spawn(std::vector<std::string> command, const std::vector<int>& open, pid_t& pid);

/// `command` and more arguments.
[[nodiscard]] std::vector<std::string> with(std::vector<std::string> command,
                                            std::initializer_list<std::string> more);

}  // namespace sluice::edge
