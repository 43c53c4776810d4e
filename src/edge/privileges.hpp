// What a process may do besides its work: nothing.
#pragma once

#include <string>

namespace sluice::edge {

/// Becomes `user` with that user's groups, for good, and gives up all capabilities with it. One
/// that is `user` already stays so. `message` gets one line on failure (no such user, not root).
[[nodiscard]] bool become(const std::string& user, std::string& message);

/// No core file, nothing of its memory in one that root makes, no other process of the same user
/// that looks into this one, no program that could gain privileges.
void shut_in();

}  // namespace sluice::edge
