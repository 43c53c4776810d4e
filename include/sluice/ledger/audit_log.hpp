// Who changed what. Append-only; kept by the same transaction as the change.
#pragma once

#include <string_view>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/records.hpp"

namespace sluice::ledger {

class Db;

class AuditLog {
 public:
  AuditLog(Db& db, const Clock& clock) : db_(db), clock_(clock) {}
  /// `detail` holds no secrets. Joins the transaction that is open.
  [[nodiscard]] Result<> append(std::string_view actor, std::string_view action,
                                std::string_view subject, std::string_view detail);
  /// Newest first, at most `limit`.
  [[nodiscard]] Result<std::vector<AuditRow>> list(std::int64_t limit);

 private:
  Db& db_;
  const Clock& clock_;
};

}  // namespace sluice::ledger
