// What was told to people: each event once, with whether it still stands and whether it arrived.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/records.hpp"

namespace sluice::ledger {

class Db;

/// Stored numbers: new ones go to the end.
enum class NoticeKind : std::uint8_t {
  low_balance = 1,  ///< subject: wallet
  key_budget_total,
  key_budget_day,
  key_budget_month,
  wallet_budget_day,
  wallet_budget_month,
  channel_down,  ///< subject: channel
  channel_up,
};
enum class NoticeDelivery : std::uint8_t { waiting, done, given_up };

struct Notice {
  Id id = 0;
  NoticeKind kind = NoticeKind::low_balance;
  Id subject_id = 0;
  TimeNs at_ns = 0;
  std::string body;  ///< JSON
};

/// The last notice of a kind about a subject.
struct LatestNotice {
  Id subject_id = 0;
  TimeNs at_ns = 0;
  bool stands = false;  ///< its condition is not known to be gone
};

class NoticeBook {
 public:
  NoticeBook(Db& db, const Clock& clock) : db_(db), clock_(clock) {}

  /// Stores an event, unless the last one of that kind and subject stands for the same period (a
  /// window's id; 0 where there are no windows). Returns its id; 0 = it stood already.
  [[nodiscard]] Result<Id> raise(NoticeKind kind, Id subject_id, std::int64_t period,
                                 std::string_view body);
  /// The condition is gone: the next raise() is an event again.
  [[nodiscard]] Result<> clear(NoticeKind kind, Id subject_id);
  /// Of each subject that there was a notice of this kind about.
  [[nodiscard]] Result<std::vector<LatestNotice>> latest(NoticeKind kind);

  /// Those that are to be delivered, oldest first.
  [[nodiscard]] Result<std::vector<Notice>> waiting(std::int64_t limit);
  [[nodiscard]] Result<> set_delivery(Id id, NoticeDelivery delivery);

 private:
  Db& db_;
  const Clock& clock_;
};

}  // namespace sluice::ledger
