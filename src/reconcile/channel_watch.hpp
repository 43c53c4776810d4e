// Looks at the health board: which channels have been left alone for a while, and which of those
// that were told to be down are back? What was told is in the ledger, so that a restart tells
// nothing twice.
#pragma once

#include <map>
#include <span>

#include "notice_watch.hpp"
#include "sluice/state/catalog.hpp"
#include "sluice/state/health.hpp"

namespace sluice::reconcile {

/// A channel that goes down and up again and again is told of twice in `pause_ns`: what happens
/// meanwhile is not told, and what lasts is told at its end.
struct ChannelWatchRules {
  TimeNs lasts_ns = 5 * kSecond;    ///< down or up for so long at each look: it is so
  TimeNs pause_ns = 300 * kSecond;  ///< from one "down" of a channel to its next, at least
};

class ChannelWatch {
 public:
  /// All outlive it. `notices` keeps and delivers what this finds.
  ChannelWatch(NoticeWatch& notices, ledger::Ledger& ledger, const Clock& clock,
               std::span<const state::HealthEntry> board, const ChannelWatchRules& rules = {})
      : notices_(notices), ledger_(ledger), clock_(clock), board_(board), rules_(rules) {}

  /// Looks at each channel of the catalog that may be used, once a second. True when a notice was
  /// raised. Errors of the ledger: looked at again at the next call.
  [[nodiscard]] Result<bool> step(const state::Catalog& catalog);

 private:
  enum class Condition : std::uint8_t { unknown, up, down };
  struct Seen {
    Condition condition = Condition::unknown;
    TimeNs since_ns = 0;      ///< monotonic
    bool told_down = false;   ///< and not up again since
    TimeNs last_down_ns = 0;  ///< realtime of the last "down", 0 = never
  };
  [[nodiscard]] Result<> load_told();
  /// `cause` is set where it is down.
  [[nodiscard]] Condition condition_of(const state::Catalog& catalog,
                                       const state::ChannelEntry& channel,
                                       state::Fault& cause) const;
  [[nodiscard]] bool is_due(const Seen& seen) const;

  NoticeWatch& notices_;
  ledger::Ledger& ledger_;
  const Clock& clock_;
  std::span<const state::HealthEntry> board_;
  ChannelWatchRules rules_;
  std::map<ledger::Id, Seen> seen_;
  bool loaded_ = false;
};

}  // namespace sluice::reconcile
