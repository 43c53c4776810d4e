// How often a line about the same thing may be written: a fault that repeats with each request must
// not become a line a request.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "sluice/base/units.hpp"

namespace sluice {

/// One line a subject and kEvery. Does not allocate; for the owner's thread. At most kSubjects are
/// remembered: when all of them have had their line just now, a new one has none.
class LogLimit {
 public:
  static constexpr TimeNs kEvery = 10 * kSecond;
  static constexpr std::size_t kSubjects = 32;

  /// Whether a line about `subject` may be written at the monotonic `now_ns`: how many were left
  /// out since its last one, or nothing when this one is left out too.
  [[nodiscard]] std::optional<std::uint64_t> take(std::uint64_t subject, TimeNs now_ns) noexcept;

 private:
  struct Entry {
    std::uint64_t subject = 0;
    TimeNs next_ns = 0;  ///< when it may have a line again; 0 = not used
    std::uint64_t left_out = 0;
  };
  std::array<Entry, kSubjects> entries_{};
};

}  // namespace sluice
