// The durable books: double-entry, int64, append-only, over SOCI (SQLite in this build; the
// statements keep to what PostgreSQL has as well). One object belongs to one thread. Several
// processes may have the same database open: every write is one BEGIN IMMEDIATE … COMMIT with
// synchronous=FULL, so what returned is on disk.
//
// Errors: Errc::unavailable (locked for longer than 5 s, disk full, I/O), Errc::conflict (unique
// name, cursor not where expected), Errc::not_found, Errc::corrupt. The library's own words are in
// last_error().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/audit_book.hpp"
#include "sluice/ledger/audit_log.hpp"
#include "sluice/ledger/catalog_book.hpp"
#include "sluice/ledger/customer_book.hpp"
#include "sluice/ledger/epoch_book.hpp"
#include "sluice/ledger/key_book.hpp"
#include "sluice/ledger/money_book.hpp"
#include "sluice/ledger/notice_book.hpp"
#include "sluice/ledger/offer_book.hpp"
#include "sluice/ledger/usage_book.hpp"

namespace sluice::ledger {

class Db;

enum class Access : std::uint8_t {
  read_write,  ///< creates the file and brings its schema up to date
  read_only,   ///< fails when it does not exist; never waits for a writer
};

class Ledger {
 public:
  /// Opens `database` (a file name, or ":memory:" for a private one that dies with the object).
  /// `message` gets one line when it fails. Migrates an older schema; refuses a newer one.
  [[nodiscard]] static Result<std::unique_ptr<Ledger>> open(const std::string& database,
                                                            Access access, const Clock& clock,
                                                            std::string& message);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// Runs `body` in one write transaction: commits when it succeeds, rolls back when it fails.
  /// Inside another transaction of this object it only runs `body`. A COMMIT whose outcome is
  /// unknown is Errc::io: the caller reads again before it repeats.
  [[nodiscard]] Result<> write(const std::function<Result<>()>& body);

  /// Runs `body` on one unchanging snapshot.
  [[nodiscard]] Result<> read(const std::function<Result<>()>& body);

  [[nodiscard]] CustomerBook& customers();
  [[nodiscard]] KeyBook& keys();
  [[nodiscard]] CatalogBook& catalog();
  [[nodiscard]] MoneyBook& money();
  [[nodiscard]] UsageBook& usage();
  [[nodiscard]] NoticeBook& notices();
  [[nodiscard]] OfferBook& offers();
  [[nodiscard]] EpochBook& epochs();
  [[nodiscard]] AuditLog& audit();
  [[nodiscard]] AuditBook& sums();

  /// Text of the last failure, one line; empty when nothing failed yet.
  [[nodiscard]] const std::string& last_error() const;

  /// Copies the whole database, consistent, to `file` (which must not exist).
  [[nodiscard]] Result<> backup_to(const std::string& file);

 private:
  struct Books;
  explicit Ledger(std::unique_ptr<Db> db, const Clock& clock);
  std::unique_ptr<Db> db_;
  std::unique_ptr<Books> books_;
};

}  // namespace sluice::ledger
