// Verbs over tables in memory, each in a transaction of its own: committed when it succeeds,
// aborted when not.
#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <utility>

#include "rows.hpp"
#include "scratch.hpp"
#include "sluice/state/memory_tables.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {

inline ReserveVerb request(KeyId key, WalletId wallet, Nanos amount) {
  ReserveVerb verb;
  verb.key_id = key;
  verb.wallet_id = wallet;
  verb.amount = amount;
  verb.key_windows = {5, 2};
  verb.wallet_windows = {5, 2};
  verb.price_version = 1;
  verb.deadline_ns = 3'660 * kSecond;
  return verb;
}

inline KeyPublish key_publish(KeyId key, WalletId wallet, Limits limits = {},
                              KeyState state = KeyState::active) {
  KeyPublish publish = key_snapshot(key, wallet).key;
  publish.limits = limits;
  publish.record.state = state;
  return publish;
}

class Model {
 public:
  static constexpr std::uint64_t kEpoch = 3;
  static constexpr SlotId kSlot = 2;

  MemoryTables& tables() { return tables_; }

  /// One transaction.
  template <class Work>
  auto transact(Work work) {
    tables_.begin();
    auto outcome = work();
    outcome ? tables_.commit() : tables_.abort();
    return outcome;
  }

  void add_wallet(WalletId id, Nanos balance, Nanos overdraft = 0, Limits limits = {},
                  WalletState state = WalletState::active) {
    WalletPublish publish;
    publish.wallet_id = id;
    publish.overdraft_limit = overdraft;
    publish.limits = limits;
    publish.state = state;
    ASSERT_TRUE(transact(
        [&] { return apply_wallets(tables_, std::span<const WalletPublish>(&publish, 1)); }));
    if (balance == 0) return;
    // As a snapshot would bring it: base, not a delta.
    WalletRecord record = wallet(id);
    record.base += balance;
    record.available += balance;
    ASSERT_TRUE(store(tables_, Table::accounts, span_of(wallet_key(id)), record));
  }
  void add_key(KeyId id, WalletId wallet_id, Limits limits = {},
               KeyState state = KeyState::active) {
    ASSERT_TRUE(publish(key_publish(id, wallet_id, limits, state)));
  }
  Result<> publish(const KeyPublish& key) {
    return transact([&] { return apply_keys(tables_, std::span<const KeyPublish>(&key, 1)); });
  }

  Result<Outcome> reserve(const ReserveVerb& verb, SlotId slot = kSlot) {
    return transact([&] { return apply(tables_, slot, kEpoch, verb); });
  }
  Result<Outcome> extend(const ExtendVerb& verb) {
    return transact([&] { return apply(tables_, verb); });
  }
  Result<Outcome> extend(const HoldId& hold, Nanos amount, std::uint32_t expected) {
    return extend({hold, amount, expected, {5, 2}, {5, 2}});
  }
  Result<Outcome> settle(const HoldId& hold, Nanos cost) {
    OutboxRecord record;
    SettleVerb verb{hold, price::split(cost, std::numeric_limits<Nanos>::max(), 0), &record};
    return transact([&] { return apply(tables_, verb); });
  }
  Result<Outcome> void_hold(const HoldId& hold, bool with_record = false) {
    OutboxRecord record;
    return transact(
        [&] { return apply(tables_, VoidVerb{hold, with_record ? &record : nullptr}); });
  }
  Result<Outcome> expire(const HoldId& hold, TimeNs now_ns) {
    return transact([&] { return apply(tables_, ExpireVerb{hold, now_ns}); });
  }
  Result<ReapOutcome> reap(const ReapVerb& verb) {
    return transact([&] { return apply(tables_, verb); });
  }
  Result<Outcome> delta(const DeltaVerb& verb) {
    return transact([&] { return apply(tables_, verb); });
  }
  Result<DeleteOutcome> delete_drained(const DeleteDrainedVerb& verb) {
    return transact([&] { return apply(tables_, verb); });
  }

  WalletRecord wallet(WalletId id) {
    return get<WalletRecord>(Table::accounts, span_of(wallet_key(id))).value();
  }
  CounterRecord counters(CounterKind kind, WalletId wallet, std::uint64_t id) {
    return get<CounterRecord>(Table::accounts, span_of(counter_key(kind, wallet, id))).value();
  }
  SlotRecord slot(SlotId id = kSlot) {
    return get<SlotRecord>(Table::slots, span_of(number_key(id))).value_or(SlotRecord{});
  }
  std::optional<OutboxRecord> outbox(std::uint64_t seq, SlotId slot_id = kSlot) {
    return get<OutboxRecord>(Table::outbox, span_of(outbox_key(slot_id, seq)));
  }

  /// Flips a byte of the row.
  void corrupt_account(const AccountKey& key) {
    const ByteSpan bytes = tables_.get(Table::accounts, span_of(key)).value();
    std::vector<std::byte> bad(bytes.begin(), bytes.end());
    bad[bad.size() / 2] ^= std::byte{1};
    ASSERT_TRUE(tables_.put(Table::accounts, span_of(key), bad));
  }

 private:
  template <class Record>
  std::optional<Record> get(Table table, ByteSpan key) {
    const Result<Loaded<Record>> loaded = load<Record>(tables_, table, key);
    if (!loaded || !loaded->found) return std::nullopt;
    return loaded->record;
  }
  MemoryTables tables_;
};

}  // namespace sluice::state
