// RingPort on the kernel's io_uring.
#pragma once

#include <memory>
#include <string>

#include "sluice/base/error.hpp"
#include "sluice/ring/port.hpp"

namespace sluice::ring {

struct KernelRingOptions {
  /// Submission queue. Small, so that what one turn writes is still in the cache when the next one
  /// writes it again; a turn that asks for more submits in between.
  std::uint32_t entries = 256;
  std::uint32_t completions = 16384;  ///< completion queue, ≥ entries
  std::uint32_t buffer_block_count = 128;  ///< a power of two
  std::uint32_t buffer_block_bytes = 32768;
  bool profile_6_1 = false;  ///< use only what Linux 6.1 has (no incremental buffers)
};

/// Sets up a ring for this thread (SINGLE_ISSUER, DEFER_TASKRUN) with its provided buffers.
/// `message` gets one line for the operator when it fails (rings forbidden, not enough locked
/// memory, kernel too old).
[[nodiscard]] Result<std::unique_ptr<RingPort>> open_kernel_ring(const KernelRingOptions& options,
                                                                 std::string& message);

}  // namespace sluice::ring
