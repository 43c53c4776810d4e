// The rows of one write transaction that many of its verbs share: wallets, counters, slots. Each is
// read and checked once and written once, however many verbs change it.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "sluice/base/assert.hpp"
#include "sluice/base/error.hpp"
#include "sluice/state/records.hpp"
#include "sluice/state/tables.hpp"

namespace sluice::state {

template <class Record>
concept KeptOpen = std::same_as<Record, WalletRecord> || std::same_as<Record, CounterRecord> ||
                   std::same_as<Record, SlotRecord>;

/// Fixed memory, 32 KB: no call allocates. A row that finds no room is read and written at once by
/// the caller. Lifecycle: clear() when a transaction begins, flush() before its commit. Owner: one
/// Tables.
class OpenRows {
 public:
  /// Four rows for each verb of a full group (verbs.hpp, kMaxVerbsPerTxn).
  static constexpr std::size_t kMost = 128;

  void clear();

  /// Copies the row out. False when it is not kept here.
  template <KeptOpen Record>
  [[nodiscard]] bool read(Table table, ByteSpan key, Record& record) const {
    const Entry* const entry = find(Name(table, key));
    if (entry == nullptr) return false;
    std::memcpy(static_cast<void*>(&record), entry->row.data(), sizeof(Record));
    return true;
  }
  [[nodiscard]] bool is_full() const { return count_ == kMost; }
  /// Keeps a row as it was read; it must not be here, and there must be room. `stored`: its memory
  /// in the table (Tables::in_place), or null.
  template <KeptOpen Record>
  void keep(Table table, ByteSpan key, const Record& record, std::byte* stored) {
    Entry* const entry = add(Name(table, key), table, key);
    SLUICE_ASSERT(entry != nullptr);
    entry->put = &put_row<Record>;
    entry->stored = stored;
    std::memcpy(entry->row.data(), &record, sizeof(Record));
  }
  /// Rows no longer lie where Tables::in_place said: those of this transaction go by their keys.
  void rows_moved() { moved_ = true; }
  /// Replaces a row, to be written by flush(). False when there is no room for it.
  template <KeptOpen Record>
  [[nodiscard]] bool write(Table table, ByteSpan key, const Record& record) {
    const Name name(table, key);
    Entry* entry = find(name);
    if (entry == nullptr) entry = add(name, table, key);
    if (entry == nullptr) return false;
    entry->put = &put_row<Record>;
    entry->changed = true;
    std::memcpy(entry->row.data(), &record, sizeof(Record));
    return true;
  }

  /// Encodes the changed rows and writes each once, where it lies or by its key, in the order of
  /// their first use. Errors: those of Tables::put; the transaction can then only be aborted.
  [[nodiscard]] Result<> flush(Tables& tables);

 private:
  using Row =
      std::array<std::byte,
                 std::max({sizeof(WalletRecord), sizeof(CounterRecord), sizeof(SlotRecord)})>;
  static constexpr std::size_t kPlaces = 256;  // twice the rows: probes stay short

  /// A table and a key of it as words: rows are looked up 16 times a request. Keys of these tables
  /// are 8 or 17 bytes, so that the first and the last eight and the middle one are all there is.
  struct Name {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t rest = 0;  ///< middle byte, size and table
    Name() = default;
    Name(Table table, ByteSpan key);
    [[nodiscard]] std::size_t first_place() const;
    friend bool operator==(const Name&, const Name&) = default;
  };

  struct Entry {
    Name name;
    Result<> (*put)(Tables& tables, Table table, ByteSpan key, const Row& row, std::byte* stored);
    std::byte* stored;  ///< where it lies, unless rows moved; null = not known
    Table table;
    std::uint8_t key_bytes;
    bool changed;
    std::array<std::byte, sizeof(AccountKey)> key;
    alignas(8) Row row;
    [[nodiscard]] ByteSpan key_span() const { return {key.data(), key_bytes}; }
  };

  template <KeptOpen Record>
  static Result<> put_row(Tables& tables, Table table, ByteSpan key, const Row& row,
                          std::byte* stored) {
    Record record;
    std::memcpy(static_cast<void*>(&record), row.data(), sizeof(Record));
    const ByteSpan bytes = encode(record);
    if (stored == nullptr) return tables.put(table, key, bytes);
    SLUICE_ASSERT(bytes.size() == sizeof(Record));
    std::memcpy(stored, bytes.data(), sizeof(Record));
    return {};
  }

  [[nodiscard]] const Entry* find(const Name& name) const;
  [[nodiscard]] Entry* find(const Name& name) {
    return const_cast<Entry*>(std::as_const(*this).find(name));
  }
  [[nodiscard]] Entry* add(const Name& name, Table table, ByteSpan key);

  std::size_t count_ = 0;
  bool moved_ = false;
  std::array<std::uint8_t, kPlaces> places_{};  ///< hash table: index of an entry + 1; 0 = free
  std::array<Entry, kMost> entries_;            ///< the first count_ have values
};

}  // namespace sluice::state
