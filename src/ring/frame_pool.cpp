#include "sluice/ring/frame_pool.hpp"

#include <array>
#include <cstdlib>
#include <new>

namespace sluice::ring {
namespace {

// Classes are narrow, because what an open stream holds is mostly frames, and end where the heap's
// own blocks do (it keeps 8 bytes of every 16).
constexpr std::size_t kClassBytes = 32;
constexpr std::size_t kHeapBytes = 8;
constexpr std::size_t kClasses = 129;  // frames up to 4 KiB are pooled
// Kept by a class: enough for the frames of a burst. What is beyond it goes back to the heap.
constexpr std::size_t kKeepBytes = 512 * 1024;

struct FreeBlock {
  FreeBlock* next;
};

struct FreeList {
  FreeBlock* first = nullptr;
  std::size_t bytes = 0;
};

// Without a destructor and with a constant start: reaching it is one address, with no guard.
constinit thread_local std::array<FreeList, kClasses> lists{};

// Gives a thread's blocks back when it ends.
struct Cleaner {
  bool registered = false;
  ~Cleaner() {
    for (FreeList& list : lists) {
      while (list.first != nullptr) {
        FreeBlock* block = list.first;
        list.first = block->next;
        std::free(block);
      }
      list.bytes = kKeepBytes;  // what comes even later goes to the heap
    }
  }
};
thread_local Cleaner cleaner;

std::size_t class_of(std::size_t bytes) {
  return (bytes + kClassBytes - kHeapBytes - 1) / kClassBytes;
}
std::size_t block_bytes(std::size_t size_class) { return size_class * kClassBytes + kHeapBytes; }

void* from_heap(std::size_t bytes) {
  cleaner.registered = true;  // its first use starts its life: every block comes through here
  void* block = std::malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

void* allocate_frame(std::size_t bytes) {
  const std::size_t size_class = class_of(bytes);
  if (size_class >= kClasses) return from_heap(bytes);
  FreeList& list = lists[size_class];
  if (list.first == nullptr) return from_heap(block_bytes(size_class));
  FreeBlock* block = list.first;
  list.first = block->next;
  list.bytes -= block_bytes(size_class);
  return block;
}

void release_frame(void* block, std::size_t bytes) noexcept {
  const std::size_t size_class = class_of(bytes);
  if (size_class >= kClasses || lists[size_class].bytes >= kKeepBytes) {
    std::free(block);
    return;
  }
  FreeList& list = lists[size_class];
  auto* free_block = static_cast<FreeBlock*>(block);
  free_block->next = list.first;
  list.first = free_block;
  list.bytes += block_bytes(size_class);
}

}  // namespace sluice::ring
