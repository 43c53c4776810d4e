#include "sluice/relay/shedding.hpp"

#include <algorithm>

namespace sluice::relay {
namespace {

// Down by an eighth a late sample, up by a sixty-fourth of all a good one: with 20 ms between them
// a tenth of the load is reached in 0.4 s, and all is taken again within 1.3 s.
constexpr std::uint32_t kStepDownPart = 8;
constexpr std::uint32_t kStepUpPart = 64;
// Some are always taken: who else would show that it has become better?
constexpr std::uint32_t kLeastPart = 64;

}  // namespace

void Shedding::note_wait(TimeNs wait_ns) {
  const bool late = most_ns_ > 0 && wait_ns > most_ns_;
  late_in_a_row_ = late ? late_in_a_row_ + 1 : 0;
  if (share_ == kAll && late_in_a_row_ < kPatience) return;
  if (late) {
    share_ = std::max(share_ - share_ / kStepDownPart, kAll / kLeastPart);
  } else {
    share_ = std::min(share_ + kAll / kStepUpPart, kAll);
  }
}

bool Shedding::takes() {
  if (share_ == kAll) return true;
  credit_ += share_;
  if (credit_ < kAll) return false;
  credit_ -= kAll;
  return true;
}

}  // namespace sluice::relay
