// The production Store: LMDB write transactions, checked against the epoch that was opened.
#pragma once

#include <array>
#include <optional>

#include "lmdb_env.hpp"
#include "sluice/state/records.hpp"
#include "sluice/state/tables.hpp"

namespace sluice::state {

/// Tables of one write transaction. The slot's row, which every verb of a turn reads and writes, is kept aside
/// and written once.
class LmdbTables final : public Tables {
 public:
  explicit LmdbTables(const TableHandles& handles) : handles_(handles) {}
  void begin(MDB_txn* txn);
  /// Writes what was kept aside. Before the commit.
  [[nodiscard]] Result<> flush();

  [[nodiscard]] Result<ByteSpan> get(Table table, ByteSpan key) override;
  [[nodiscard]] Result<> put(Table table, ByteSpan key, ByteSpan value) override;
  [[nodiscard]] Result<bool> erase(Table table, ByteSpan key) override;
  [[nodiscard]] Result<Row> seek(Table table, ByteSpan key) override;

 private:
  [[nodiscard]] MDB_dbi handle(Table table) const { return handles_[static_cast<std::size_t>(table)]; }
  [[nodiscard]] Result<> put_now(Table table, ByteSpan key, ByteSpan value);
  [[nodiscard]] bool is_cached(Table table, ByteSpan key) const;

  const TableHandles& handles_;
  MDB_txn* txn_ = nullptr;
  NumberKey slot_key_{};
  std::array<std::byte, sizeof(SlotRecord)> slot_row_{};
  bool slot_cached_ = false;
  bool slot_dirty_ = false;
};

class LmdbStore final : public Store {
 public:
  /// `meta` is what begin() demands of every transaction.
  LmdbStore(LmdbEnv& env, const MetaRecord& meta) : env_(env), meta_(meta), tables_(env.tables()) {}
  ~LmdbStore() override { abort(); }

  [[nodiscard]] Result<Tables*> begin() override;
  [[nodiscard]] Result<> commit() override;
  void abort() override;
  [[nodiscard]] bool crowded() override;
  [[nodiscard]] Result<std::optional<HoldRecord>> find_hold(const HoldId& id) override;
  [[nodiscard]] Result<SlotRecord> find_slot(SlotId slot) override;

 private:
  LmdbEnv& env_;
  const MetaRecord& meta_;
  LmdbTables tables_;
  MDB_txn* txn_ = nullptr;
  TimeNs crowded_checked_ns_ = 0;
  std::uint64_t free_pages_ = 0;
};

/// Key of the one row of `meta` and of `catalog`.
[[nodiscard]] ByteSpan meta_key();
[[nodiscard]] ByteSpan catalog_key();

}  // namespace sluice::state
