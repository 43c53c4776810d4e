// Typed access to tables, for the verbs.
#pragma once

#include <span>

#include "sluice/base/error.hpp"
#include "sluice/state/records.hpp"
#include "sluice/state/tables.hpp"

namespace sluice::state {

template <std::size_t Size>
ByteSpan span_of(const std::array<std::byte, Size>& key) {
  return {key.data(), key.size()};
}

template <class Record>
struct Loaded {
  bool found = false;
  Record record;
};

/// Reads and checks one row. Errors: corrupt, io.
template <class Record>
Result<Loaded<Record>> load(Tables& tables, Table table, ByteSpan key) {
  Result<Loaded<Record>> loaded;  // filled in place: these are copied on every verb otherwise
  const Result<ByteSpan> bytes = tables.get(table, key);
  if (!bytes) {
    loaded = std::unexpected(bytes.error());
  } else if (!bytes->empty()) {
    loaded->found = true;
    if (!decode_into(*bytes, loaded->record)) loaded = fail(Errc::corrupt);
  }
  return loaded;
}

template <class Record>
Result<> store(Tables& tables, Table table, ByteSpan key, Record& record) {
  return tables.put(table, key, encode(record));
}

}  // namespace sluice::state
