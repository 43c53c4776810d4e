// Tables in memory: the model of the simulator and of the tests. Transactions, and a failure at the
// n-th write.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "sluice/base/error.hpp"
#include "sluice/state/tables.hpp"

namespace sluice::state {

class MemoryTables final : public Tables {
 public:
  [[nodiscard]] Result<ByteSpan> get(Table table, ByteSpan key) override;
  [[nodiscard]] Result<> put(Table table, ByteSpan key, ByteSpan value) override;
  [[nodiscard]] Result<bool> erase(Table table, ByteSpan key) override;
  [[nodiscard]] Result<Row> seek(Table table, ByteSpan key) override;
  [[nodiscard]] bool idem_room() override { return rows(Table::idem) < idem_rows_most_; }
  void set_idem_rows_most(std::size_t rows) { idem_rows_most_ = rows; }

  /// Writes since begin() are undone by abort() and kept by commit().
  void begin();
  void commit();
  void abort();

  /// The n-th write from now on (1 = the next) fails with `error`; 0 = none does.
  void fail_at(std::uint64_t n, Error error = {Errc::full});
  [[nodiscard]] std::uint64_t writes() const { return writes_; }
  [[nodiscard]] std::size_t rows(Table table) const;

  /// Keys in the byte order of LMDB (numbers of number_key are compared as numbers).
  struct Less {
    using is_transparent = void;
    bool operator()(const std::string& a, const std::string& b) const { return a < b; }
  };
  using Map = std::map<std::string, std::string, Less>;
  [[nodiscard]] const Map& map(Table table) const {
    return tables_[static_cast<std::size_t>(table)];
  }

 private:
  Result<> count_write();
  std::array<Map, kTables> tables_;
  std::array<Map, kTables> saved_;
  std::size_t idem_rows_most_ = 1'000'000;
  std::uint64_t writes_ = 0;
  std::uint64_t fail_at_ = 0;
  Error failure_;
};

/// A Store over MemoryTables, for queues in tests and in the simulator. A commit can be made to
/// fail, with the writes kept or lost: the two outcomes that a caller cannot tell apart.
class MemoryStore final : public Store {
 public:
  [[nodiscard]] Result<Tables*> begin() override;
  [[nodiscard]] Result<> commit() override;
  void abort() override;
  [[nodiscard]] bool crowded() override { return crowded_; }
  [[nodiscard]] Result<std::optional<HoldRecord>> find_hold(const HoldId& id) override;
  [[nodiscard]] Result<SlotRecord> find_slot(SlotId slot) override;

  [[nodiscard]] MemoryTables& tables() { return tables_; }
  enum class CommitFault : std::uint8_t { none, lost, kept };
  void fail_next_commit(CommitFault fault) { commit_fault_ = fault; }
  void fail_begin(Error error) { begin_error_ = error; }  ///< code none = works again
  void set_crowded(bool crowded) { crowded_ = crowded; }
  [[nodiscard]] std::uint64_t commits() const { return commits_; }

 private:
  MemoryTables tables_;
  CommitFault commit_fault_ = CommitFault::none;
  Error begin_error_;
  bool crowded_ = false;
  std::uint64_t commits_ = 0;
};

}  // namespace sluice::state
