#include "sluice/policy/retry_budget.hpp"

#include <algorithm>

namespace sluice::policy {

bool RetryBudget::take(TimeNs now_ns) {
  if (earned_until_ns_ != 0) {
    const TimeNs passed_ns = std::clamp<TimeNs>(now_ns - earned_until_ns_, 0, 10 * kSecond);
    balance_ = std::min(balance_ + passed_ns * kASecond / kSecond, kMost);
  }
  earned_until_ns_ = now_ns;
  if (balance_ < kRetry) return false;
  balance_ -= kRetry;
  return true;
}

}  // namespace sluice::policy
