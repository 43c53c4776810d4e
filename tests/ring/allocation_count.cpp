#include "allocation_count.hpp"

#include <atomic>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_ASAN 1
#endif
#endif

namespace {

std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> bytes_asked{0};

void count(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  bytes_asked.fetch_add(bytes, std::memory_order_relaxed);
}

}  // namespace

#ifdef SLUICE_ASAN
#include <sanitizer/allocator_interface.h>

namespace {
const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t bytes) { count(bytes); }, [](const volatile void*) {});
}  // namespace
#else
// glibc's own entry point; free() is left as it is.
extern "C" void* __libc_malloc(std::size_t bytes);
extern "C" void* malloc(std::size_t bytes) {
  count(bytes);
  return __libc_malloc(bytes);
}
#endif

namespace sluice::ring::testing {

std::size_t allocation_count() { return allocations.load(std::memory_order_relaxed); }
std::size_t allocated_bytes() { return bytes_asked.load(std::memory_order_relaxed); }

}  // namespace sluice::ring::testing
