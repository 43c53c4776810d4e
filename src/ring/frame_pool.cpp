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

struct Pool {
  std::array<FreeList, kClasses> lists{};
  ~Pool() {
    for (FreeList& list : lists) {
      while (list.first != nullptr) {
        FreeBlock* block = list.first;
        list.first = block->next;
        std::free(block);
      }
    }
  }
};

thread_local Pool pool;

std::size_t class_of(std::size_t bytes) { return (bytes + kClassBytes - 1) / kClassBytes; }

void* from_heap(std::size_t bytes) {
  void* block = std::malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

void* allocate_frame(std::size_t bytes) {
  const std::size_t size_class = class_of(bytes);
  if (size_class >= kClasses) return from_heap(bytes);
  FreeList& list = pool.lists[size_class];
  if (list.first == nullptr) return from_heap(size_class * kClassBytes);
  FreeBlock* block = list.first;
  list.first = block->next;
  --list.count;
  return block;
}

void release_frame(void* block, std::size_t bytes) noexcept {
  const std::size_t size_class = class_of(bytes);
  if (size_class >= kClasses || pool.lists[size_class].count >= kKeep) {
    std::free(block);
    return;
  }
  FreeList& list = pool.lists[size_class];
  auto* free_block = static_cast<FreeBlock*>(block);
  free_block->next = list.first;
  list.first = free_block;
  ++list.count;
}

}  // namespace sluice::ring
