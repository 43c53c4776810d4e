#include "db.hpp"

#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>

#include "sluice/base/assert.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/crash_point.hpp"

namespace sluice::ledger {
namespace {

/// Another process holds the write lock only for one short transaction: if it is held this long, it
/// hangs.
constexpr int kLockWaitS = 5;

/// A connection is one thread's, so its own mutexes guard nothing; nor is SQLite asked how much
/// memory it uses. Both together were a sixth of the instructions of a drained row.
void configure_sqlite() {
  static std::once_flag once;
  // Refused (SQLITE_MISUSE) when somebody used SQLite before: then it is slower, and works.
  std::call_once(once, [] {
    static_cast<void>(sqlite_api::sqlite3_config(SQLITE_CONFIG_MULTITHREAD));
    static_cast<void>(sqlite_api::sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0));
  });
}

/// A string without '=' is the file's name. SOCI 4.0 takes others apart, for ever when memory ends
/// meanwhile.
std::string connect_string(const std::string& database) {
  return database.find('=') == std::string::npos ? database : "dbname=\"" + database + "\"";
}

/// SOCI's own handle. Its class has no type information to check the cast with.
[[clang::no_sanitize("vptr")]] sqlite_api::sqlite3* connection_of(soci::session& session) {
  return static_cast<soci::sqlite3_session_backend*>(session.get_backend())->conn_;
}

/// The same of a statement.
[[clang::no_sanitize("vptr")]] sqlite_api::sqlite3_stmt* handle_of(soci::statement& statement) {
  return static_cast<soci::sqlite3_statement_backend*>(statement.get_backend())->stmt_;
}

}  // namespace

struct Db::Session {
  soci::session sql;
  /// ROLLBACK, made while there is memory: it has to work where nothing else does.
  sqlite_api::sqlite3_stmt* undo = nullptr;

  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { sqlite_api::sqlite3_finalize(undo); }
};

/// A statement with the places its parameters and columns are read from and written to.
struct Db::Prepared final : Row {
  Prepared(soci::session& session, std::string_view sql, const char* types,
           std::initializer_list<Value> values)
      : statement(session) {
    integers_in.resize(values.size());
    texts_in.resize(values.size());
    std::size_t at = 0;
    for (const Value& value : values) {
      if (std::holds_alternative<std::int64_t>(value)) {
        statement.exchange(soci::use(integers_in[at]));
      } else {
        statement.exchange(soci::use(texts_in[at]));
      }
      ++at;
    }
    const std::size_t columns = std::strlen(types);
    integers_out.resize(columns);
    texts_out.resize(columns);
    for (std::size_t i = 0; i < columns; ++i) {
      if (types[i] == 'i') {
        statement.exchange(soci::into(integers_out[i]));
      } else {
        statement.exchange(soci::into(texts_out[i]));
      }
    }
    statement.alloc();
    statement.prepare(std::string(sql));
    statement.define_and_bind();
  }

  void bind(std::initializer_list<Value> values) {
    SLUICE_ASSERT(values.size() == integers_in.size());
    std::size_t at = 0;
    for (const Value& value : values) {
      if (const auto* number = std::get_if<std::int64_t>(&value)) {
        integers_in[at] = *number;
      } else {
        texts_in[at] = std::get<std::string_view>(value);
      }
      ++at;
    }
  }

  /// Ends a run that an exception broke off. A statement that stands between two rows keeps its
  /// snapshot, and this connection cannot write any more once another one has.
  void stop() noexcept {
    sqlite_api::sqlite3_reset(handle_of(statement));
    running = false;
  }

  [[nodiscard]] std::int64_t integer(std::size_t column) const override {
    return integers_out[column];
  }
  [[nodiscard]] const std::string& text(std::size_t column) const override {
    return texts_out[column];
  }

  soci::statement statement;
  std::vector<long long> integers_in, integers_out;
  std::vector<std::string> texts_in, texts_out;
  bool running = false;
};

Db::Db() : session_(std::make_unique<Session>()) {}

Db::~Db() {
  if (in_transaction_) rollback();
}

std::unexpected<Error> Db::failed() {
  try {
    throw;
  } catch (const soci::sqlite3_soci_error& error) {
    last_error_ = error.what();
    switch (error.result() & 0xff) {
      case SQLITE_CONSTRAINT:
        return fail(Errc::conflict);
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return fail(Errc::unavailable, Source::self, Retry::yes);
      case SQLITE_FULL:
        return fail(Errc::unavailable);
      case SQLITE_CORRUPT:
      case SQLITE_NOTADB:
        return fail(Errc::corrupt);
      default:
        return fail(Errc::io);
    }
  } catch (const std::exception& error) {
    last_error_ = error.what();
    return fail(Errc::internal);
  }
}

Result<std::unique_ptr<Db>> Db::open(const std::string& database, bool read_only,
                                     std::string& message) {
  configure_sqlite();
  std::unique_ptr<Db> db(new Db);
  try {
    soci::session& sql = db->session_->sql;
    sql.open(soci::sqlite3, connect_string(database));
    if (const int rc = sqlite_api::sqlite3_busy_timeout(connection_of(sql), kLockWaitS * 1000);
        rc != SQLITE_OK)
      throw soci::sqlite3_soci_error("cannot set a time-out", rc);
    if (const int rc = register_given(connection_of(sql), &db->given_); rc != SQLITE_OK)
      throw soci::sqlite3_soci_error("cannot register a table", rc);
  } catch (...) {
    const auto error = db->failed();
    message = "ledger " + database + ": " + db->last_error_;
    return error;
  }
  Result<> set = read_only ? db->script("PRAGMA query_only = ON") : db->prepare_to_write();
  if (set) set = db->prepare_to_undo();
  if (!set) {
    message = "ledger " + database + ": " + db->last_error_;
    return std::unexpected(set.error());
  }
  return db;
}

// After the pragmas: some of them make all statements be prepared anew, at their next step.
Result<> Db::prepare_to_undo() {
  try {
    const int rc = sqlite_api::sqlite3_prepare_v2(connection_of(session_->sql), "ROLLBACK", -1,
                                                  &session_->undo, nullptr);
    if (rc != SQLITE_OK) throw soci::sqlite3_soci_error("cannot prepare a rollback", rc);
    return {};
  } catch (...) {
    return failed();
  }
}

// The first process that opens a new ledger makes it a WAL one. Whoever comes in that moment is
// told at once that the database is locked: SQLite does not wait for this lock, whatever its
// time-out.
Result<> Db::prepare_to_write() {
  const TimeNs until_ns = system_clock().monotonic_ns() + kLockWaitS * kSecond;
  // EXTRA syncs the directory when the journal of that change is gone: one that came back after a
  // power cut would be played over everything that was written since.
  if (auto set = script("PRAGMA synchronous = EXTRA"); !set) return set;
  Result<> set = script("PRAGMA journal_mode = WAL");
  while (!set && set.error().code == Errc::unavailable && set.error().retry == Retry::yes &&
         system_clock().monotonic_ns() < until_ns) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    set = script("PRAGMA journal_mode = WAL");
  }
  if (!set) return set;
  return script(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 4000");
}

Db::Prepared& Db::prepared(std::string_view sql, const char* types,
                           std::initializer_list<Value> values) {
  auto& slot = prepared_[sql];
  if (slot == nullptr) slot = std::make_unique<Prepared>(session_->sql, sql, types, values);
  SLUICE_ASSERT(!slot->running);
  slot->bind(values);
  return *slot;
}

Result<std::int64_t> Db::run(std::string_view sql, std::initializer_list<Value> values) {
  try {
    Prepared& statement = prepared(sql, "", values);
    statement.statement.execute(true);
    return statement.statement.get_affected_rows();
  } catch (...) {
    return failed();
  }
}

Result<> Db::query(std::string_view sql, const char* types, std::initializer_list<Value> values,
                   const std::function<void(const Row&)>& each) {
  Prepared* statement = nullptr;
  try {
    statement = &prepared(sql, types, values);
    statement->running = true;
    statement->statement.execute();
    while (statement->statement.fetch()) each(*statement);
    statement->running = false;
    return {};
  } catch (...) {
    if (statement != nullptr) statement->stop();
    return failed();
  }
}

Result<std::int64_t> Db::integer(std::string_view sql, std::initializer_list<Value> values) {
  std::int64_t value = 0;
  bool found = false;
  auto done = query(sql, "i", values, [&](const Row& row) {
    value = row.integer(0);
    found = true;
  });
  if (!done) return std::unexpected(done.error());
  if (!found) return fail(Errc::not_found);
  return value;
}

Result<> Db::run_given(std::string_view sql, const GivenRows& rows) {
  given_ = &rows;
  const auto done = run(sql);
  given_ = nullptr;
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<> Db::script(std::string_view sql) {
  try {
    while (!sql.empty()) {
      // Statements end with ";\n" or the end of the text; triggers hold inner ones that end with ";
      // ".
      std::size_t end = sql.find(";\n");
      if (end == std::string_view::npos) end = sql.size();
      std::string_view one = sql.substr(0, end);
      if (one.find("PRAGMA") != std::string_view::npos) {
        end = std::min(sql.find(';'), sql.size());
        one = sql.substr(0, end);
      }
      if (one.find_first_not_of(" \n") != std::string_view::npos) session_->sql << std::string(one);
      sql.remove_prefix(std::min(end + 1, sql.size()));
    }
    return {};
  } catch (...) {
    return failed();
  }
}

Result<> Db::begin(bool immediate) {
  SLUICE_ASSERT(!in_transaction_);
  // A deferred BEGIN that writes later fails at once when somebody else wrote in between: ask for
  // the lock now.
  auto begun = immediate ? run("BEGIN IMMEDIATE") : run("BEGIN");
  if (!begun) return std::unexpected(begun.error());
  in_transaction_ = true;
  writing_ = immediate;
  return {};
}

Result<> Db::commit() {
  SLUICE_ASSERT(in_transaction_);
  if (writing_) crash_point();
  auto done = run("COMMIT");
  if (!done) {
    rollback();
    return std::unexpected(done.error());
  }
  in_transaction_ = false;
  if (writing_) crash_point();
  return {};
}

// A transaction that stayed open would keep every other program from writing.
void Db::rollback() {
  // SQLite rolls back by itself after some errors; a second ROLLBACK then fails, which is fine.
  static_cast<void>(sqlite_api::sqlite3_step(session_->undo));
  static_cast<void>(sqlite_api::sqlite3_reset(session_->undo));
  SLUICE_ASSERT(sqlite_api::sqlite3_get_autocommit(connection_of(session_->sql)) != 0);
  in_transaction_ = false;
}

}  // namespace sluice::ledger
