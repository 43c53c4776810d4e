// One write transaction of a book: joins the one that is open, or makes its own.
#pragma once

#include <utility>

#include "db.hpp"
#include "try.hpp"

namespace sluice::ledger {

template <class Body>
Result<> in_write(Db& db, Body&& body) {
  if (db.in_transaction()) return std::forward<Body>(body)();
  LEDGER_TRY(db.begin(true));
  Result<> done = std::forward<Body>(body)();
  if (!done) {
    db.rollback();
    return done;
  }
  return db.commit();
}

/// The next number of the one sequence of changes, noted for a topic (see CatalogBook).
[[nodiscard]] Result<std::int64_t> next_generation(Db& db, std::int64_t topic);

/// Rows of a query as a vector; `make` turns a Row into an element.
template <class T, class Make>
Result<std::vector<T>> collect(Db& db, std::string_view sql, const char* types,
                               std::initializer_list<Value> values, Make&& make) {
  std::vector<T> out;
  LEDGER_TRY(db.query(sql, types, values, [&](const Row& row) { out.push_back(make(row)); }));
  return out;
}

/// The only row of a query, or Errc::not_found.
template <class T, class Make>
Result<T> only(Db& db, std::string_view sql, const char* types, std::initializer_list<Value> values,
               Make&& make) {
  auto rows = collect<T>(db, sql, types, values, std::forward<Make>(make));
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return fail(Errc::not_found);
  return std::move(rows->front());
}

/// An account of a wallet. House accounts have the numbers below this.
[[nodiscard]] constexpr std::int64_t wallet_account(std::int64_t wallet_id) {
  return 1000 + wallet_id;
}

}  // namespace sluice::ledger
