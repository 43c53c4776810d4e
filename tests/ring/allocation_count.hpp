// Counts heap allocations of this process, for tests that say "none from here on".
#pragma once

#include <cstddef>

namespace sluice::ring::testing {

/// Allocations since the program started, by any means (malloc, new).
[[nodiscard]] std::size_t allocation_count();

/// Bytes asked for since the program started.
[[nodiscard]] std::size_t allocated_bytes();

}  // namespace sluice::ring::testing
