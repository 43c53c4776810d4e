// Typed access to tables, for the verbs.
#pragma once

#include <span>

#include "open_rows.hpp"
#include "sluice/base/error.hpp"
#include "sluice/state/records.hpp"
#include "sluice/state/tables.hpp"

namespace sluice::state {

template <std::size_t Size>
ByteSpan span_of(const std::array<std::byte, Size>& key) {
  return {key.data(), key.size()};
}

/// Reads and checks one row in place: rows are large, and a copy at every return is felt. False
/// when there is none; `record` is then as it was. Errors: corrupt, io; full, where the row is kept
/// open.
template <class Record>
Result<bool> load_into(Tables& tables, Table table, ByteSpan key, Record& record) {
  OpenRows* open = nullptr;
  if constexpr (KeptOpen<Record>) {
    open = tables.open_rows();
    if (open != nullptr && open->read(table, key, record)) return true;
  }
  const Result<ByteSpan> bytes = tables.get(table, key);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->empty()) return false;
  if (!decode_into(*bytes, record)) return fail(Errc::corrupt);
  if constexpr (KeptOpen<Record>) {
    if (open == nullptr || open->is_full()) return true;
    Result<std::byte*> stored = nullptr;
    if (bytes->size() == sizeof(Record)) stored = tables.in_place(table, key, sizeof(Record));
    if (!stored) return std::unexpected(stored.error());
    open->keep(table, key, record, *stored);
  }
  return true;
}

template <class Record>
struct Loaded {
  bool found = false;
  Record record;
};

/// The same as a value.
template <class Record>
Result<Loaded<Record>> load(Tables& tables, Table table, ByteSpan key) {
  Result<Loaded<Record>> loaded(std::in_place);
  const Result<bool> found = load_into(tables, table, key, loaded->record);
  if (!found) return std::unexpected(found.error());
  loaded->found = *found;
  return loaded;
}

/// Writes one row: now or, where the transaction keeps it open, before the commit.
template <class Record>
Result<> store(Tables& tables, Table table, ByteSpan key, Record& record) {
  if constexpr (KeptOpen<Record>) {
    OpenRows* const open = tables.open_rows();
    if (open != nullptr && open->write(table, key, record)) return {};
  }
  return tables.put(table, key, encode(record));
}

}  // namespace sluice::state
