#include "sluice/ledger/notice_book.hpp"

#include "scope.hpp"

namespace sluice::ledger {
namespace {

std::int64_t number(NoticeKind kind) { return static_cast<std::int64_t>(kind); }

}  // namespace

Result<Id> NoticeBook::raise(NoticeKind kind, Id subject_id, std::int64_t period,
                             std::string_view body) {
  Id id = 0;
  LEDGER_TRY(in_write(db_, [&]() -> Result<> {
    const auto stands = db_.integer(
        "SELECT COUNT(*) FROM notice WHERE id = (SELECT MAX(id) FROM notice WHERE kind = :k AND "
        "subject_id = :s) AND cleared = 0 AND period = :p",
        {number(kind), subject_id, period});
    if (!stands) return std::unexpected(stands.error());
    if (*stands != 0) return {};
    const auto made = db_.integer(
        "INSERT INTO notice (kind, subject_id, period, at_ns, body) VALUES (:k, :s, :p, :a, :b) "
        "RETURNING id",
        {number(kind), subject_id, period, clock_.realtime_ns(), body});
    if (!made) return std::unexpected(made.error());
    id = *made;
    return {};
  }));
  return id;
}

Result<> NoticeBook::clear(NoticeKind kind, Id subject_id) {
  const auto stands =
      db_.integer("SELECT COUNT(*) FROM notice WHERE kind = :k AND subject_id = :s AND cleared = 0",
                  {number(kind), subject_id});
  if (!stands) return std::unexpected(stands.error());
  if (*stands == 0) return {};
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(db_.run("UPDATE notice SET cleared = 1 WHERE kind = :k AND subject_id = :s",
                       {number(kind), subject_id}));
    return {};
  });
}

Result<std::vector<LatestNotice>> NoticeBook::latest(NoticeKind kind) {
  return collect<LatestNotice>(db_,
                               "SELECT subject_id, at_ns, cleared FROM notice WHERE id IN "
                               "(SELECT MAX(id) FROM notice WHERE kind = :k GROUP BY subject_id)",
                               "iii", {number(kind)}, [](const Row& row) {
                                 return LatestNotice{row.integer(0), row.integer(1),
                                                     row.integer(2) == 0};
                               });
}

Result<std::vector<Notice>> NoticeBook::waiting(std::int64_t limit) {
  return collect<Notice>(db_,
                         "SELECT id, kind, subject_id, at_ns, body FROM notice WHERE delivery = 0 "
                         "ORDER BY id LIMIT :l",
                         "iiiit", {limit}, [](const Row& row) {
                           return Notice{row.integer(0), static_cast<NoticeKind>(row.integer(1)),
                                         row.integer(2), row.integer(3), row.text(4)};
                         });
}

Result<> NoticeBook::set_delivery(Id id, NoticeDelivery delivery) {
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(db_.run("UPDATE notice SET delivery = :d WHERE id = :i",
                       {static_cast<std::int64_t>(delivery), id}));
    return {};
  });
}

}  // namespace sluice::ledger
