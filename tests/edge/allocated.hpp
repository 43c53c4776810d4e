// How much of the heap is in use, exactly: resident memory would also count what the sanitizer
// keeps back.
#pragma once

#include <malloc.h>

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#define SLUICE_COUNTS_BY_SANITIZER 1
#endif
#endif

namespace sluice::test {

inline std::size_t allocated_bytes() {
#ifdef SLUICE_COUNTS_BY_SANITIZER
  return __sanitizer_get_current_allocated_bytes();
#else
  const auto seen = mallinfo2();
  return seen.uordblks + seen.hblkhd;
#endif
}

}  // namespace sluice::test
