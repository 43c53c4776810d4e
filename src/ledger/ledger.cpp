#include "sluice/ledger/ledger.hpp"

#include <unistd.h>

#include "db.hpp"
#include "schema.hpp"
#include "try.hpp"

namespace sluice::ledger {

struct Ledger::Books {
  Books(Db& db, const Clock& clock)
      : customers(db, clock),
        keys(db, clock),
        catalog(db),
        money(db, clock),
        usage(db, clock),
        notices(db, clock),
        offers(db, clock),
        epochs(db, clock),
        audit(db, clock),
        sums(db) {}
  CustomerBook customers;
  KeyBook keys;
  CatalogBook catalog;
  MoneyBook money;
  UsageBook usage;
  NoticeBook notices;
  OfferBook offers;
  EpochBook epochs;
  AuditLog audit;
  AuditBook sums;
};

Ledger::Ledger(std::unique_ptr<Db> db, const Clock& clock)
    : db_(std::move(db)), books_(std::make_unique<Books>(*db_, clock)) {}

Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& database, Access access,
                                             const Clock& clock, std::string& message) {
  const bool read_only = access == Access::read_only;
  if (read_only && ::access(database.c_str(), R_OK) != 0) {
    message = "ledger " + database + ": does not exist or cannot be read";
    return fail(Errc::not_found);
  }
  auto db = Db::open(database, read_only, message);
  if (!db) return std::unexpected(db.error());
  const auto ready = read_only ? check_schema(**db) : migrate(**db);
  if (!ready) {
    message = "ledger " + database + ": " +
              (ready.error().code == Errc::unsupported ? "its schema is not the one of this program"
                                                       : (*db)->last_error());
    return std::unexpected(ready.error());
  }
  return std::unique_ptr<Ledger>(new Ledger(std::move(*db), clock));
}

Result<> Ledger::write(const std::function<Result<>()>& body) {
  if (db_->in_transaction()) return body();
  LEDGER_TRY(db_->begin(true));
  if (auto done = body(); !done) {
    db_->rollback();
    return done;
  }
  return db_->commit();
}

Result<> Ledger::read(const std::function<Result<>()>& body) {
  if (db_->in_transaction()) return body();
  LEDGER_TRY(db_->begin(false));
  if (auto done = body(); !done) {
    db_->rollback();
    return done;
  }
  return db_->commit();
}

CustomerBook& Ledger::customers() { return books_->customers; }
KeyBook& Ledger::keys() { return books_->keys; }
CatalogBook& Ledger::catalog() { return books_->catalog; }
MoneyBook& Ledger::money() { return books_->money; }
UsageBook& Ledger::usage() { return books_->usage; }
NoticeBook& Ledger::notices() { return books_->notices; }
OfferBook& Ledger::offers() { return books_->offers; }
EpochBook& Ledger::epochs() { return books_->epochs; }
AuditLog& Ledger::audit() { return books_->audit; }
AuditBook& Ledger::sums() { return books_->sums; }
const std::string& Ledger::last_error() const { return db_->last_error(); }

Result<> Ledger::backup_to(const std::string& file) {
  auto done = db_->run("VACUUM INTO :file", {std::string_view(file)});
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace sluice::ledger
