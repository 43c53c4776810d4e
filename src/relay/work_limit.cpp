#include "sluice/relay/work_limit.hpp"

#include <algorithm>
#include <utility>

namespace sluice::relay {
namespace {

// One turn is long by chance: it counts for so much of the mean.
constexpr TimeNs kOneOfTurns = 8;
// What is begun now shows in turns only when its provider answers. So what is under way changes
// slowly: by a factor of e in so long at most, and it grows by one in kGrowthNs at most.
constexpr double kChangeNs = 500e6;
constexpr double kGrowthNs = 1e6;
constexpr std::int64_t kFew = 8;

}  // namespace

void WorkLimit::note_turn(TimeNs took_ns) { turn_ns_ += (took_ns - turn_ns_) / kOneOfTurns; }

std::uint32_t WorkLimit::lacking() const {
  return static_cast<std::uint32_t>(std::max<std::int64_t>(kFew - under_way_, 0));
}

std::uint32_t WorkLimit::replace(TimeNs passed_ns) {
  constexpr auto kTarget = static_cast<double>(kShortTurnNs);
  const double error = std::max((kTarget - static_cast<double>(turn_ns_)) / kTarget, -1.0);
  const double change = static_cast<double>(under_way_) / kChangeNs;
  const double change_a_ns = error < 0 ? change : std::min(change, 1 / kGrowthNs);
  share_ += std::exchange(ended_, 0) + error * change_a_ns * static_cast<double>(passed_ns);
  share_ = std::clamp<double>(share_, -1.0 * most_, most_);
  const auto whole = static_cast<std::uint32_t>(std::max(share_, 0.0));
  share_ -= whole;
  return whole;
}

}  // namespace sluice::relay
