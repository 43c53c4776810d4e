// Memory of coroutine frames: freed frames are kept by size class and thread, so that a request that starts
// the same coroutines as the one before it allocates nothing.
#pragma once

#include <cstddef>

namespace sluice::ring {

/// A block of at least `bytes`, from this thread's free list of its class or from the heap.
[[nodiscard]] void* allocate_frame(std::size_t bytes);

/// Gives a block back. `bytes` is the size it was asked with; same thread.
void release_frame(void* block, std::size_t bytes) noexcept;

}  // namespace sluice::ring
