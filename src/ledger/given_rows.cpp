#include "given_rows.hpp"

#include <sched.h>
#include <sqlite3.h>

#include <new>
#include <string>

#include "sluice/base/assert.hpp"

// A virtual table without arguments and without a schema entry ("eponymous",
// https://www.sqlite.org/vtab.html §2.1.2). SQLite owns what begins with its own structures.
namespace sluice::ledger {
namespace {

struct Table {
  sqlite3_vtab base{};
  const GivenRows* const* shown = nullptr;
};

struct Cursor {
  sqlite3_vtab_cursor base{};
  const GivenRows* rows = nullptr;
  std::size_t row = 0;
  std::size_t count = 0;
};

Cursor& cursor_of(sqlite3_vtab_cursor* base) { return *reinterpret_cast<Cursor*>(base); }

std::string declaration() {
  std::string columns = "CREATE TABLE given (i0";
  for (std::size_t i = 1; i < kGivenIntegers; ++i) columns += ", i" + std::to_string(i);
  for (std::size_t i = 0; i < kGivenTexts; ++i) columns += ", t" + std::to_string(i);
  return columns + ")";
}

// No exception may pass through SQLite's frames.
int connect(sqlite3* connection, void* shown, int, const char* const*, sqlite3_vtab** out,
            char**) try {
  if (const int rc = sqlite3_declare_vtab(connection, declaration().c_str()); rc != SQLITE_OK)
    return rc;
  auto* table = new (std::nothrow) Table;
  if (table == nullptr) return SQLITE_NOMEM;
  table->shown = static_cast<const GivenRows* const*>(shown);
  *out = &table->base;
  return SQLITE_OK;
} catch (const std::bad_alloc&) {
  return SQLITE_NOMEM;
}

int disconnect(sqlite3_vtab* base) {
  delete reinterpret_cast<Table*>(base);
  return SQLITE_OK;
}

int best_index(sqlite3_vtab*, sqlite3_index_info* info) {
  // There is nothing but reading all of it: so dear that no plan does that more than once.
  info->estimatedCost = 1e9;
  info->estimatedRows = 1000;
  return SQLITE_OK;
}

int open_cursor(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
  auto* cursor = new (std::nothrow) Cursor;
  if (cursor == nullptr) return SQLITE_NOMEM;
  *out = &cursor->base;
  return SQLITE_OK;
}

int close_cursor(sqlite3_vtab_cursor* base) {
  delete &cursor_of(base);
  return SQLITE_OK;
}

int start(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value**) {
  Cursor& cursor = cursor_of(base);
  cursor.rows = *reinterpret_cast<Table*>(base->pVtab)->shown;
  cursor.row = 0;
  cursor.count = cursor.rows == nullptr ? 0 : cursor.rows->rows();
  return SQLITE_OK;
}

// One statement stores a thousand rows, which takes milliseconds: whoever shares the core is let
// in now and then.
constexpr std::size_t kRowsBeforeYield = 16;

int next(sqlite3_vtab_cursor* base) {
  if (++cursor_of(base).row % kRowsBeforeYield == 0) sched_yield();
  return SQLITE_OK;
}

int at_end(sqlite3_vtab_cursor* base) {
  const Cursor& cursor = cursor_of(base);
  return cursor.row >= cursor.count ? 1 : 0;
}

int column(sqlite3_vtab_cursor* base, sqlite3_context* context, int number) {
  const Cursor& cursor = cursor_of(base);
  const GivenRows& rows = *cursor.rows;
  const auto at = static_cast<std::size_t>(number);
  if (at < kGivenIntegers) {
    SLUICE_ASSERT(at < rows.integers_a_row);
    sqlite3_result_int64(context, rows.integers[cursor.row * rows.integers_a_row + at]);
    return SQLITE_OK;
  }
  SLUICE_ASSERT(at - kGivenIntegers < rows.texts_a_row);
  const std::string_view text = rows.texts[cursor.row * rows.texts_a_row + (at - kGivenIntegers)];
  // A null pointer would be NULL, which no column takes.
  sqlite3_result_text(context, text.data() == nullptr ? "" : text.data(),
                      static_cast<int>(text.size()), SQLITE_STATIC);
  return SQLITE_OK;
}

int row_number(sqlite3_vtab_cursor* base, sqlite3_int64* out) {
  *out = static_cast<sqlite3_int64>(cursor_of(base).row);
  return SQLITE_OK;
}

// Without xCreate the table is there by its module's name alone.
constexpr sqlite3_module make_module() {
  sqlite3_module module{};
  module.xConnect = connect;
  module.xBestIndex = best_index;
  module.xDisconnect = disconnect;
  module.xOpen = open_cursor;
  module.xClose = close_cursor;
  module.xFilter = start;
  module.xNext = next;
  module.xEof = at_end;
  module.xColumn = column;
  module.xRowid = row_number;
  return module;
}
constexpr sqlite3_module kModule = make_module();

}  // namespace

int register_given(void* connection, const GivenRows* const* shown) {
  return sqlite3_create_module(static_cast<sqlite3*>(connection), "given", &kModule,
                               const_cast<GivenRows const**>(shown));
}

}  // namespace sluice::ledger
