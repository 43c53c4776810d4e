#include "idem_keeper.hpp"

#include "sluice/state/inspect.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::size_t kLookAtMost = 4096;
// Clients repeat within minutes: when the table fills up, old keys make room for new ones.
constexpr TimeNs kCrowdedAgeNs = 3600 * kSecond;
constexpr TimeNs kLeastAgeNs = 600 * kSecond;

TimeNs age_for(std::size_t rows, std::size_t rows_most) {
  if (rows * 2 <= rows_most) return state::kIdemLifetimeNs;
  return rows * 4 < rows_most * 3 ? kCrowdedAgeNs : kLeastAgeNs;
}

}  // namespace

Result<bool> IdemKeeper::step() {
  const TimeNs now_ns = clock_.realtime_ns();
  const TimeNs age_ns = age_for(rows_, rows_most_);
  const auto scan =
      state::scan_idem(environment_, from_, now_ns, age_ns, kLookAtMost, state::kMaxRowsPerTxn);
  if (!scan) return std::unexpected(scan.error());
  from_ = scan->last;
  rows_ = scan->rows;
  rows_most_ = scan->rows_most;
  if (scan->old.empty()) return false;
  const auto forgotten = state::Writer(environment_).forget_idem(scan->old, now_ns, age_ns);
  if (!forgotten) return std::unexpected(forgotten.error());
  return true;
}

}  // namespace sluice::reconcile
