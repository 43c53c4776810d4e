// Tables in memory: the model of the simulator and of the tests. Transactions, and a failure at the n-th write.
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
  [[nodiscard]] const Map& map(Table table) const { return tables_[static_cast<std::size_t>(table)]; }

 private:
  Result<> count_write();
  std::array<Map, kTables> tables_;
  std::array<Map, kTables> saved_;
  std::uint64_t writes_ = 0;
  std::uint64_t fail_at_ = 0;
  Error failure_;
};

}  // namespace sluice::state
