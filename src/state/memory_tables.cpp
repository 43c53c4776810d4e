#include "sluice/state/memory_tables.hpp"

#include <utility>

#include "rows.hpp"

namespace sluice::state {
namespace {

std::string text_of(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
ByteSpan bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

Result<ByteSpan> MemoryTables::get(Table table, ByteSpan key) {
  const Map& rows = map(table);
  const auto it = rows.find(text_of(key));
  return it == rows.end() ? ByteSpan{} : bytes_of(it->second);
}

Result<> MemoryTables::count_write() {
  ++writes_;
  if (fail_at_ != 0 && --fail_at_ == 0) return std::unexpected(failure_);
  return {};
}

Result<> MemoryTables::put(Table table, ByteSpan key, ByteSpan value) {
  if (const Result<> counted = count_write(); !counted) return counted;
  tables_[static_cast<std::size_t>(table)].insert_or_assign(text_of(key), text_of(value));
  return {};
}

Result<bool> MemoryTables::erase(Table table, ByteSpan key) {
  if (const Result<> counted = count_write(); !counted) return std::unexpected(counted.error());
  return tables_[static_cast<std::size_t>(table)].erase(text_of(key)) > 0;
}

Result<Row> MemoryTables::seek(Table table, ByteSpan key) {
  const Map& rows = map(table);
  const auto it = rows.lower_bound(text_of(key));
  if (it == rows.end()) return Row{};
  return Row{bytes_of(it->first), bytes_of(it->second)};
}

void MemoryTables::begin() { saved_ = tables_; }
void MemoryTables::commit() { saved_ = {}; }
void MemoryTables::abort() {
  tables_ = std::move(saved_);
  saved_ = {};
}

void MemoryTables::fail_at(std::uint64_t n, Error error) {
  fail_at_ = n;
  failure_ = error;
}

std::size_t MemoryTables::rows(Table table) const { return map(table).size(); }

Result<Tables*> MemoryStore::begin() {
  if (begin_error_.code != Errc::none) return std::unexpected(begin_error_);
  tables_.begin();
  return &tables_;
}

Result<> MemoryStore::commit() {
  const CommitFault fault = std::exchange(commit_fault_, CommitFault::none);
  fault == CommitFault::lost ? tables_.abort() : tables_.commit();
  if (fault != CommitFault::none) return fail(Errc::io);
  ++commits_;
  return {};
}

void MemoryStore::abort() { tables_.abort(); }

Result<std::optional<HoldRecord>> MemoryStore::find_hold(const HoldId& id) {
  const Result<Loaded<HoldRecord>> hold =
      load<HoldRecord>(tables_, Table::holds, span_of(hold_key(id)));
  if (!hold) return std::unexpected(hold.error());
  if (!hold->found) return std::nullopt;
  return hold->record;
}

Result<SlotRecord> MemoryStore::find_slot(SlotId slot) {
  const Result<Loaded<SlotRecord>> loaded =
      load<SlotRecord>(tables_, Table::slots, span_of(number_key(slot)));
  if (!loaded) return std::unexpected(loaded.error());
  return loaded->record;
}

}  // namespace sluice::state
