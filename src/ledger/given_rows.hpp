// Rows in memory that a statement selects from as if they were a table:
// `INSERT INTO t SELECT i0, i1, t0 FROM given`. One statement for all rows of a batch, its cells
// read where they are: binding the cells of a usage row one by one costs more than inserting it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace sluice::ledger {

/// The columns of `given`: i0 … i51 and t0 … t3. A statement names those that its rows have.
inline constexpr std::size_t kGivenIntegers = 52;
inline constexpr std::size_t kGivenTexts = 4;

struct GivenRows {
  /// Of each row, at most kGivenIntegers and kGivenTexts; at least one integer.
  std::size_t integers_a_row = 1;
  std::size_t texts_a_row = 0;
  std::vector<std::int64_t> integers;   ///< row after row
  std::vector<std::string_view> texts;  ///< row after row; what they show must stay

  [[nodiscard]] std::size_t rows() const { return integers.size() / integers_a_row; }
  /// A row of integers alone.
  void add(std::initializer_list<std::int64_t> row) { integers.insert(integers.end(), row); }
};

/// Makes the table `given` known to a connection (a sqlite3*). It shows the rows that `*shown`
/// points to when a statement starts, none when that is null; `shown` outlives the connection.
/// Returns SQLite's result code.
[[nodiscard]] int register_given(void* connection, const GivenRows* const* shown);

}  // namespace sluice::ledger
