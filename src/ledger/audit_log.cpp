#include "sluice/ledger/audit_log.hpp"

#include "scope.hpp"

namespace sluice::ledger {

Result<> AuditLog::append(std::string_view actor, std::string_view action, std::string_view subject,
                          std::string_view detail) {
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(db_.run(
        "INSERT INTO audit_log (at_ns, actor, action, subject, detail) VALUES (:t, :a, :c, :s, :d)",
        {clock_.realtime_ns(), actor, action, subject, detail}));
    return {};
  });
}

Result<std::vector<AuditRow>> AuditLog::list(std::int64_t limit) {
  return collect<AuditRow>(
      db_,
      "SELECT id, at_ns, actor, action, subject, detail FROM audit_log ORDER BY id DESC LIMIT :l",
      "iitttt", {limit}, [](const Row& row) {
        return AuditRow{row.integer(0), row.integer(1), row.text(2),
                        row.text(3),    row.text(4),    row.text(5)};
      });
}

}  // namespace sluice::ledger
