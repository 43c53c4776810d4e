// The seam under the verbs: tables of bytes in one write transaction. LMDB implements it in
// production, a map in memory that can fail at its n-th call in tests and in the simulator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "sluice/base/error.hpp"
#include "sluice/state/records.hpp"

namespace sluice::state {

/// Wallets and counters share one tree, `accounts`, ordered by wallet: a wallet, its counters and
/// those of its keys lie side by side, so that a verb copies one leaf page and not three. At
/// 100,000 keys these copies are most of a verb's cost.
enum class Table : std::uint8_t { meta, keys, accounts, slots, holds, outbox, idem, catalog };
inline constexpr std::size_t kTables = 8;
[[nodiscard]] const char* table_name(Table table);

struct Row {
  ByteSpan key;
  ByteSpan value;
};

class OpenRows;

/// One open write transaction. Spans that it returns are valid until the next call that writes.
class Tables {
 public:
  virtual ~Tables() = default;
  /// Value at `key`; an empty span when there is none. Errors: io, corrupt.
  [[nodiscard]] virtual Result<ByteSpan> get(Table table, ByteSpan key) = 0;
  /// Inserts or replaces. Errors: full (map), io. After an error the transaction can only be
  /// aborted.
  [[nodiscard]] virtual Result<> put(Table table, ByteSpan key, ByteSpan value) = 0;
  /// Removes; false when there was none. Errors as put.
  [[nodiscard]] virtual Result<bool> erase(Table table, ByteSpan key) = 0;
  /// First row whose key is ≥ `key`; empty spans when there is none. Errors: io.
  [[nodiscard]] virtual Result<Row> seek(Table table, ByteSpan key) = 0;
  /// Memory of the row that the last call, a get(), found at `key`: `bytes` that may be written
  /// until the transaction ends, or OpenRows is told that rows moved. Null when rows are not
  /// written in place. What get() returned is no longer valid. Errors as put.
  [[nodiscard]] virtual Result<std::byte*> in_place(Table, ByteSpan, std::size_t) {
    return nullptr;
  }
  /// Whether `idem` may grow: it has a share of the map and no more.
  [[nodiscard]] virtual bool idem_room() = 0;
  /// Rows that this transaction reads and writes once, for rows.hpp alone: get() and seek() do not
  /// see their changes before the commit. Null = every row is read and written at once.
  [[nodiscard]] virtual OpenRows* open_rows() { return nullptr; }
};

/// Write transactions one after the other, and the two reads that repair an unknown outcome.
class Store {
 public:
  virtual ~Store() = default;
  /// Opens a write transaction. The caller is inside the gate. Errors: stale_epoch (epoch, uuid or
  /// ready in meta is not what was opened), io.
  [[nodiscard]] virtual Result<Tables*> begin() = 0;
  /// The transaction is over either way; after an error its outcome is unknown.
  [[nodiscard]] virtual Result<> commit() = 0;
  virtual void abort() = 0;
  /// Less than 30 % of the map is free: admission stops. Valid between begin() and commit().
  [[nodiscard]] virtual bool crowded() = 0;
  [[nodiscard]] virtual Result<std::optional<HoldRecord>> find_hold(const HoldId& id) = 0;
  [[nodiscard]] virtual Result<SlotRecord> find_slot(SlotId slot) = 0;
};

}  // namespace sluice::state
