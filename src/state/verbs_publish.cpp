// What the reconciler writes: rows 9 and 10 of state-machine.md, keys and wallets.
#include <algorithm>

#include "rows.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {
namespace {

Result<> publish_counters(Tables& tables, CounterKind kind, WalletId wallet, std::uint64_t id,
                          KeyState state, const Limits* limits) {
  const AccountKey key = counter_key(kind, wallet, id);
  Result<Loaded<CounterRecord>> counters =
      load<CounterRecord>(tables, Table::accounts, span_of(key));
  if (!counters) return std::unexpected(counters.error());
  CounterRecord& record = counters->record;
  record.id = id;
  record.wallet_id = wallet;
  record.kind = kind;
  record.state = state;
  if (limits != nullptr) record.limits = *limits;
  return store(tables, Table::accounts, span_of(key), record);
}

/// A digest goes away. The key's counters stay: holds may be open, and another digest may name the
/// same key.
Result<> remove_key(Tables& tables, const KeyPublish& key) {
  const ByteSpan digest = std::as_bytes(std::span(key.digest));
  if (Result<bool> erased = tables.erase(Table::keys, digest); !erased) {
    return std::unexpected(erased.error());
  }
  if (key.record.key_id == 0 || key.record.wallet_id == 0 || key.record.state == KeyState::active)
    return {};
  return publish_counters(tables, CounterKind::key, key.record.wallet_id, key.record.key_id,
                          key.record.state, nullptr);
}

Result<> publish_key(Tables& tables, const KeyPublish& key) {
  if (key.remove) return remove_key(tables, key);
  KeyRecord record = key.record;
  const Result<KeyRecord> checked = decode<KeyRecord>(encode(record));
  if (!checked) return fail(Errc::bad_value);
  if (Result<> put = store(tables, Table::keys, std::as_bytes(std::span(key.digest)), record);
      !put) {
    return put;
  }
  return publish_counters(tables, CounterKind::key, record.wallet_id, record.key_id, record.state,
                          &key.limits);
}

Result<> publish_wallet(Tables& tables, const WalletPublish& wallet) {
  const AccountKey key = wallet_key(wallet.wallet_id);
  Result<Loaded<WalletRecord>> loaded = load<WalletRecord>(tables, Table::accounts, span_of(key));
  if (!loaded) return std::unexpected(loaded.error());
  WalletRecord& record = loaded->record;
  record.wallet_id = wallet.wallet_id;
  record.overdraft_limit = wallet.overdraft_limit;
  record.group = wallet.group;
  record.zone = wallet.zone;
  record.state = wallet.state;
  if (!decode<WalletRecord>(encode(record))) return fail(Errc::bad_value);
  if (Result<> put = store(tables, Table::accounts, span_of(key), record); !put) return put;
  return publish_counters(tables, CounterKind::wallet, wallet.wallet_id, wallet.wallet_id,
                          KeyState::active, &wallet.limits);
}

bool limits_valid(const Limits& limits) {
  return limits.budget_total >= kNoBudget && limits.budget_day >= kNoBudget &&
         limits.budget_month >= kNoBudget;
}

}  // namespace

// Row 10.
Result<Outcome> apply(Tables& tables, const DeltaVerb& verb) {
  const AccountKey key = wallet_key(verb.wallet_id);
  Result<Loaded<WalletRecord>> loaded = load<WalletRecord>(tables, Table::accounts, span_of(key));
  if (!loaded) return std::unexpected(loaded.error());
  if (!loaded->found) return fail(Errc::not_found);
  WalletRecord& wallet = loaded->record;
  Outcome outcome;
  outcome.available = wallet.available;
  if (verb.no <= wallet.applied_no) {
    outcome.verdict = Verdict::already_closed;
    return outcome;
  }
  if (verb.no != wallet.applied_no + 1) return fail(Errc::conflict);
  if (__builtin_add_overflow(wallet.available, verb.delta, &wallet.available) ||
      __builtin_add_overflow(wallet.applied, verb.delta, &wallet.applied)) {
    return fail(Errc::bad_value);
  }
  wallet.applied_no = verb.no;
  if (Result<> put = store(tables, Table::accounts, span_of(key), wallet); !put) {
    return std::unexpected(put.error());
  }
  outcome.available = wallet.available;
  return outcome;
}

Result<> apply_keys(Tables& tables, std::span<const KeyPublish> keys) {
  if (keys.size() > kMaxRowsPerTxn) return fail(Errc::bad_value);
  for (const KeyPublish& key : keys) {
    if (!limits_valid(key.limits)) return fail(Errc::bad_value);
    if (Result<> published = publish_key(tables, key); !published) return published;
  }
  return {};
}

Result<> apply_wallets(Tables& tables, std::span<const WalletPublish> wallets) {
  if (wallets.size() > kMaxRowsPerTxn) return fail(Errc::bad_value);
  for (const WalletPublish& wallet : wallets) {
    if (!limits_valid(wallet.limits)) return fail(Errc::bad_value);
    if (Result<> published = publish_wallet(tables, wallet); !published) return published;
  }
  return {};
}

// Row 9. From the last to the first: LMDB keeps the rows of a page from its end on, so that none
// moves for the one that goes.
Result<DeleteOutcome> apply(Tables& tables, const DeleteDrainedVerb& verb) {
  DeleteOutcome outcome;
  const Result<Row> row = tables.seek(Table::outbox, span_of(outbox_key(verb.slot, 0)));
  if (!row) return std::unexpected(row.error());
  if (row->key.empty()) return outcome;
  const Result<OutboxId> first = parse_outbox_key(row->key);
  if (!first) return std::unexpected(first.error());
  if (first->slot != verb.slot || first->seq > verb.up_to_seq) return outcome;
  const std::uint64_t count = std::min<std::uint64_t>(verb.up_to_seq - first->seq + 1, verb.most);
  for (std::uint64_t i = count; i-- > 0;) {
    const OutboxKey key = outbox_key(verb.slot, first->seq + i);
    const Result<bool> erased = tables.erase(Table::outbox, span_of(key));
    if (!erased) return std::unexpected(erased.error());
    if (*erased) ++outcome.deleted;
  }
  outcome.more = first->seq + count <= verb.up_to_seq;
  return outcome;
}

}  // namespace sluice::state
