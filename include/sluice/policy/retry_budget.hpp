// How much may be sent twice: a provider that is in trouble must not get many times its load.
#pragma once

#include <cstdint>

#include "sluice/base/units.hpp"

namespace sluice::policy {

/// Of one shard. Each request earns a fifth of a retry, and some are there whatever the load; not
/// used, they do not heap up beyond the bound.
class RetryBudget {
 public:
  static constexpr std::int64_t kRetry = 1000;           ///< what one costs
  static constexpr std::int64_t kEarned = 200;           ///< by a request
  static constexpr std::int64_t kASecond = 10 * kRetry;  ///< earned by time alone
  static constexpr std::int64_t kMost = 100 * kRetry;

  void note_request() {
    if (balance_ < kMost) balance_ += kEarned;
  }
  /// Whether something may be sent again at `now_ns` (monotonic); if so it is counted.
  [[nodiscard]] bool take(TimeNs now_ns);

 private:
  std::int64_t balance_ = kASecond;
  TimeNs earned_until_ns_ = 0;
};

}  // namespace sluice::policy
