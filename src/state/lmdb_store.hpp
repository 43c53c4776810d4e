// The production Store: LMDB write transactions, checked against the epoch that was opened.
#pragma once

#include <array>
#include <optional>

#include "lmdb_env.hpp"
#include "open_rows.hpp"
#include "sluice/state/records.hpp"
#include "sluice/state/tables.hpp"

namespace sluice::state {

inline constexpr std::size_t kMostKeyBytes = sizeof(HoldKey);

/// Tables of one write transaction. Five things make verbs cheap: the rows that they share are
/// read and written once (OpenRows), where they lie; a row that was read is written or erased
/// through the cursor that found it, without a second descent; the cursor of a table finds a
/// neighbour of its last row without one; and a row behind all others is appended, which fills
/// pages instead of halving them, into memory that the row before it has asked for.
class LmdbTables final : public Tables {
 public:
  explicit LmdbTables(const TableHandles& handles) : handles_(handles) {}
  void begin(MDB_txn* txn);
  /// Writes what was kept open. Before the commit.
  [[nodiscard]] Result<> flush() { return open_.flush(*this); }

  [[nodiscard]] Result<ByteSpan> get(Table table, ByteSpan key) override;
  [[nodiscard]] Result<> put(Table table, ByteSpan key, ByteSpan value) override;
  [[nodiscard]] Result<bool> erase(Table table, ByteSpan key) override;
  [[nodiscard]] Result<Row> seek(Table table, ByteSpan key) override;
  [[nodiscard]] Result<std::byte*> in_place(Table table, ByteSpan key, std::size_t bytes) override;
  [[nodiscard]] bool idem_room() override;
  [[nodiscard]] OpenRows* open_rows() override { return &open_; }

 private:
  [[nodiscard]] MDB_dbi handle(Table table) const {
    return handles_[static_cast<std::size_t>(table)];
  }

  /// A cursor of this transaction (LMDB frees it with the transaction) and the key it stands on.
  struct Place {
    MDB_cursor* cursor = nullptr;
    std::array<std::byte, kMostKeyBytes> key{};
    std::size_t key_bytes = 0;  ///< 0 = nowhere
    bool grows = false;         ///< new rows may be behind all others
    [[nodiscard]] bool stands_on(ByteSpan other) const;
    void stand_on(ByteSpan on);
  };
  /// The table's place, with a cursor; null for tables that are written seldom. Errors: io.
  [[nodiscard]] Result<Place*> place_of(Table table);
  [[nodiscard]] static int put_at(Place& place, MDB_val& key, ByteSpan value, bool stands);

  static constexpr std::size_t kPlaces = 3;  ///< accounts, holds, outbox
  std::array<Place, kPlaces> places_;
  const TableHandles& handles_;
  MDB_txn* txn_ = nullptr;
  OpenRows open_;
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
