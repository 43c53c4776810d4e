#include "faulty_store.hpp"

#include <cstring>
#include <utility>

namespace sluice::sim {
namespace {

using state::ByteSpan;
using state::Table;

/// The stored record under `key`, or a default one.
template <class Record>
Record stored(state::Tables& tables, Table table, ByteSpan key) {
  const auto bytes = tables.get(table, key);
  if (!bytes || bytes->empty()) return {};
  return state::decode<Record>(*bytes).value_or(Record{});
}

bool is_wallet(ByteSpan value) { return value.size() == sizeof(state::WalletRecord); }
bool is_counter(ByteSpan value) { return value.size() == sizeof(state::CounterRecord); }
static_assert(sizeof(state::WalletRecord) != sizeof(state::CounterRecord));

}  // namespace

bool FaultyTables::write_fails() { return write_fault_at_ != 0 && ++writes_ == write_fault_at_; }

bool FaultyTables::drops(Table table, ByteSpan key, ByteSpan value) {
  if (fault_ == Fault::outbox_row_lost) return table == Table::outbox;
  if (fault_ == Fault::counters_forgotten && table == Table::accounts && is_counter(value)) {
    const auto now = *state::decode<state::CounterRecord>(value);
    return now.kind == state::CounterKind::key &&
           now.in_flight < stored<state::CounterRecord>(*inner_, table, key).in_flight;
  }
  if (fault_ == Fault::charge_not_moved && table == Table::accounts && is_wallet(value)) {
    const auto now = *state::decode<state::WalletRecord>(value);
    return now.charged > stored<state::WalletRecord>(*inner_, table, key).charged;
  }
  return false;
}

Result<ByteSpan> FaultyTables::get(Table table, ByteSpan key) { return inner_->get(table, key); }

Result<> FaultyTables::put(Table table, ByteSpan key, ByteSpan value) {
  if (write_fails()) return fail(Errc::full);
  if (drops(table, key, value)) return {};
  if (fault_ == Fault::extension_unheld && table == Table::holds) {
    auto hold = *state::decode<state::HoldRecord>(value);
    if (hold.extensions > 0) {
      ++hold.amount;
      return inner_->put(table, key, state::encode(hold));
    }
  }
  return inner_->put(table, key, value);
}

Result<bool> FaultyTables::erase(Table table, ByteSpan key) {
  if (write_fails()) return fail(Errc::full);
  if (fault_ == Fault::hold_kept && table == Table::holds) return true;
  return inner_->erase(table, key);
}

Result<state::Row> FaultyTables::seek(Table table, ByteSpan key) {
  return inner_->seek(table, key);
}

state::OpenRows* FaultyTables::open_rows() {
  return fault_ == Fault::none && write_fault_at_ == 0 ? inner_->open_rows() : nullptr;
}

void FaultyStore::arm(StoreFault store_fault, std::uint32_t write_fault_at, Fault fault) {
  store_fault_ = store_fault;
  write_fault_at_ = store_fault == StoreFault::write ? write_fault_at : 0;
  fault_ = fault;
}

Result<state::Tables*> FaultyStore::begin() {
  if (store_fault_ == StoreFault::begin) {
    store_fault_ = StoreFault::none;
    return fail(Errc::io);
  }
  const auto tables = inner_.begin();
  if (!tables) return tables;
  tables_.begin(**tables, fault_, std::exchange(write_fault_at_, 0));
  return &tables_;
}

Result<> FaultyStore::commit() {
  const StoreFault now = std::exchange(store_fault_, StoreFault::none);
  if (now == StoreFault::commit_lost) {
    inner_.abort();
    if (fault_ == Fault::uncommitted_kept) return {};
    return fail(Errc::io);
  }
  const auto committed = inner_.commit();
  if (now == StoreFault::commit_kept && committed) return fail(Errc::io);
  return committed;
}

bool FaultyStore::crowded() {
  const auto use = environment_.map_use();
  return !use || use->free_pages() < use->map_pages / 10 * 3;
}

}  // namespace sluice::sim
