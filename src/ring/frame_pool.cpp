#include "sluice/ring/frame_pool.hpp"

#include <array>
#include <cstdlib>
#include <new>

namespace sluice::ring {
namespace {

constexpr std::size_t kClassBytes = 128;
constexpr std::size_t kClasses = 33;  // frames up to 4 KiB are pooled; class 0 is not used
// Per class: enough for the frames of a burst; beyond it memory goes back to the heap.
constexpr std::size_t kKeep = 4096;

struct FreeBlock {
  FreeBlock* next;
};

struct FreeList {
  FreeBlock* first = nullptr;
  std::size_t count = 0;
};

// Without a destructor and with a constant start, so that reaching it is one address: no guard at each use.
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
      list.count = kKeep;  // what comes even later goes to the heap
    }
  }
};
thread_local Cleaner cleaner;

std::size_t class_of(std::size_t bytes) { return (bytes + kClassBytes - 1) / kClassBytes; }

void* from_heap(std::size_t bytes) {
  cleaner.registered = true;  // the first use of a thread_local starts its life: every block comes through here
  void* block = std::malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

void* allocate_frame(std::size_t bytes) {
  const std::size_t size_class = class_of(bytes);
  if (size_class >= kClasses) return from_heap(bytes);
  FreeList& list = lists[size_class];
  if (list.first == nullptr) return from_heap(size_class * kClassBytes);
  FreeBlock* block = list.first;
  list.first = block->next;
  --list.count;
  return block;
}

void release_frame(void* block, std::size_t bytes) noexcept {
  const std::size_t size_class = class_of(bytes);
  if (size_class >= kClasses || lists[size_class].count >= kKeep) {
    std::free(block);
    return;
  }
  FreeList& list = lists[size_class];
  auto* free_block = static_cast<FreeBlock*>(block);
  free_block->next = list.first;
  list.first = free_block;
  ++list.count;
}

}  // namespace sluice::ring
