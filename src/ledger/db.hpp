// One connection with its prepared statements. The only place that knows SOCI: it throws, this does
// not.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sluice/base/error.hpp"
#include "given_rows.hpp"

namespace sluice::ledger {

/// A statement parameter: integer or text. There are no others, and no NULL.
using Value = std::variant<std::int64_t, std::string_view>;

/// The columns of one result row, valid during the callback.
class Row {
 public:
  virtual ~Row() = default;
  [[nodiscard]] virtual std::int64_t integer(std::size_t column) const = 0;
  [[nodiscard]] virtual const std::string& text(std::size_t column) const = 0;
};

class Db {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Db>> open(const std::string& database, bool read_only,
                                                        std::string& message);
  ~Db();
  Db(const Db&) = delete;
  Db& operator=(const Db&) = delete;

  /// Runs a statement; returns the number of rows it changed. `sql` must outlive the connection (a
  /// literal).
  [[nodiscard]] Result<std::int64_t> run(std::string_view sql,
                                         std::initializer_list<Value> values = {});
  /// Runs a query to its end. `types` has one character a column, 'i' or 't'. `each` must not use
  /// the same statement again.
  [[nodiscard]] Result<> query(std::string_view sql, const char* types,
                               std::initializer_list<Value> values,
                               const std::function<void(const Row&)>& each);
  /// The single integer of a query or of INSERT … RETURNING; Errc::not_found when there is no row.
  [[nodiscard]] Result<std::int64_t> integer(std::string_view sql,
                                             std::initializer_list<Value> values = {});
  /// Runs a statement that selects from `given`, which has these rows meanwhile.
  [[nodiscard]] Result<> run_given(std::string_view sql, const GivenRows& rows);
  /// Runs statements that are not worth keeping (schema, pragmas).
  [[nodiscard]] Result<> script(std::string_view sql);

  [[nodiscard]] Result<> begin(bool immediate);
  [[nodiscard]] Result<> commit();
  void rollback();
  [[nodiscard]] bool in_transaction() const { return in_transaction_; }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }

 private:
  [[nodiscard]] Result<> prepare_to_write();
  [[nodiscard]] Result<> prepare_to_undo();
  struct Session;
  struct Prepared;
  Db();
  Prepared& prepared(std::string_view sql, const char* types, std::initializer_list<Value> values);
  std::unexpected<Error> failed();

  const GivenRows* given_ = nullptr;  ///< what the session shows as `given`
  std::unique_ptr<Session> session_;
  std::map<std::string_view, std::unique_ptr<Prepared>> prepared_;
  bool in_transaction_ = false;
  bool writing_ = false;
  std::string last_error_;
};

}  // namespace sluice::ledger
