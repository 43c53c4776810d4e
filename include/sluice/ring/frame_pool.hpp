// Memory of coroutine frames: freed frames are kept by size class and thread, so that a request
// that starts the same coroutines as the one before it allocates nothing.
#pragma once

#include <cstddef>

namespace sluice::ring {

/// A block of at least `bytes`, from this thread's free list of its class or from the heap.
[[nodiscard]] void* allocate_frame(std::size_t bytes);

/// Base of objects that live for one request: they come from the frame pool too.
struct Pooled {
  static void* operator new(std::size_t bytes);
  static void operator delete(void* block, std::size_t bytes) noexcept;
};

/// Gives a block back. `bytes` is the size it was asked with; same thread.
void release_frame(void* block, std::size_t bytes) noexcept;

inline void* Pooled::operator new(std::size_t bytes) { return allocate_frame(bytes); }
inline void Pooled::operator delete(void* block, std::size_t bytes) noexcept {
  release_frame(block, bytes);
}

}  // namespace sluice::ring
