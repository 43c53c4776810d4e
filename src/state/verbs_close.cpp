// Every way in which a hold ends: rows 3 to 7 of state-machine.md.
#include <algorithm>
#include <array>

#include "admission.hpp"
#include "idem.hpp"
#include "rows.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {
namespace {

/// Row of one party; a key or wallet without counters is money without budgets.
struct Counters {
  AccountKey key;
  bool found = false;
  CounterRecord record;
};

Result<> load_counters(Tables& tables, Counters& counters) {
  const Result<bool> found =
      load_into(tables, Table::accounts, span_of(counters.key), counters.record);
  if (!found) return std::unexpected(found.error());
  counters.found = *found;
  return {};
}

/// What the end of a hold changes in the counters of either party.
struct CounterEnd {
  Nanos reserved = 0;  ///< that is given back
  Nanos spent = 0;
  bool open = true;  ///< it is in flight; else its tombstone is not
  Tokens rate_tokens = 0;
  Tokens used_tokens = 0;
  TimeNs now_ns = 0;
  TimeNs held_ns = -1;
};

Result<> close_counters(Tables& tables, Counters& counters, const WindowIds& windows,
                        const CounterEnd& end) {
  CounterRecord& record = counters.record;
  if (!counters.found) return {};
  close_reserved(record, windows, end.reserved, end.spent);
  if (end.open && record.in_flight > 0) --record.in_flight;
  correct_tokens(record, end.rate_tokens, end.used_tokens, end.now_ns, end.held_ns);
  return store(tables, Table::accounts, span_of(counters.key), record);
}

Result<> move_money(WalletRecord& wallet, Nanos release, const price::Charge& charge) {
  if (wallet.held < release) return fail(Errc::corrupt);
  wallet.held -= release;
  // release − charged first: it cannot overflow, and for an open hold it is ≥ 0.
  if (__builtin_add_overflow(wallet.available, release - charge.charged, &wallet.available) ||
      __builtin_sub_overflow(wallet.available, charge.excess, &wallet.available) ||
      __builtin_add_overflow(wallet.charged, charge.charged, &wallet.charged) ||
      __builtin_add_overflow(wallet.excess, charge.excess, &wallet.excess)) {
    return fail(Errc::bad_value);
  }
  return {};
}

/// Moves the money of a hold that ends; what is available then. An open hold gives `amount` back
/// first; a tombstone did so when it was made. All rows are read before one is written: a row that
/// fails its check ends this verb alone, and those beside it are committed.
Result<Nanos> close_account(Tables& tables, const HoldRecord& hold, const price::Charge& charge,
                            TimeNs now_ns) {
  const AccountKey wallet_row = wallet_key(hold.wallet_id);
  WalletRecord wallet;
  Counters of_key{counter_key(CounterKind::key, hold.wallet_id, hold.key_id), false, {}};
  Counters of_wallet{counter_key(CounterKind::wallet, hold.wallet_id, hold.wallet_id), false, {}};
  const Result<bool> found = load_into(tables, Table::accounts, span_of(wallet_row), wallet);
  if (!found) return std::unexpected(found.error());
  if (!*found) return fail(Errc::corrupt);
  for (Counters* counters : {&of_key, &of_wallet}) {
    if (const Result<> loaded = load_counters(tables, *counters); !loaded) {
      return std::unexpected(loaded.error());
    }
  }
  const bool open = hold.state == HoldState::open;
  const Nanos release = open ? hold.amount : 0;
  const CounterEnd end{.reserved = release,
                       .spent = charge.charged + charge.excess,
                       .open = open,
                       .rate_tokens = open ? hold.rate_tokens : 0,
                       .used_tokens = charge.billed.prompt() + charge.billed.output,
                       .now_ns = now_ns,
                       .held_ns = now_ns == 0 ? -1 : now_ns - hold.reserved_at_ns};
  Result<> done = move_money(wallet, release, charge);
  if (done) done = store(tables, Table::accounts, span_of(wallet_row), wallet);
  if (done) done = close_counters(tables, of_key, hold.key_windows, end);
  if (done) done = close_counters(tables, of_wallet, hold.wallet_windows, end);
  if (!done) return std::unexpected(done.error());
  return wallet.available;
}

void fill_record(OutboxRecord& record, const HoldId& id, const HoldRecord& hold,
                 const SlotRecord& slot, const price::Charge& charge, OutboxKind kind) {
  record.kind = kind;
  record.hold = id;
  record.incarnation = slot.incarnation;
  record.key_id = hold.key_id;
  record.wallet_id = hold.wallet_id;
  record.request_id = hold.request_id;
  record.price_version = hold.price_version;
  record.model_id = hold.model_id;
  record.multiplier = hold.multiplier;
  record.key_windows = hold.key_windows;
  record.wallet_windows = hold.wallet_windows;
  record.input_estimate = hold.input_estimate;
  record.counts = charge.billed;
  record.held = hold.amount;
  record.charged = charge.charged;
  record.excess = charge.excess;
  record.loss = charge.loss;
  record.flags = charge.flags | (kind == OutboxKind::late ? price::kChargeLate : 0U);
}

/// `charge` with its cost split over what the table says is held.
price::Charge resplit(const price::Charge& charge, const HoldRecord& hold) {
  price::Charge split = price::split(charge.cost, hold.amount, hold.excess_max);
  constexpr std::uint32_t kOfSplit = price::kChargeExcess | price::kChargeLoss;
  // Clamped counts are no loss that anybody had (price::charge).
  if ((charge.flags & price::kChargeClamped) != 0) {
    split.cost -= split.loss;
    split.loss = 0;
    split.flags &= ~static_cast<std::uint32_t>(price::kChargeLoss);
  }
  split.flags |= charge.flags & ~kOfSplit;
  split.billed = charge.billed;
  return split;
}

/// Writes everything that ends `hold`. `slot` is the hold's slot, changed in place, stored by the
/// caller. `wanted` null = no outbox row.
Result<Outcome> close_hold(Tables& tables, const HoldId& id, const HoldRecord& hold,
                           SlotRecord& slot, const price::Charge& charge,
                           const OutboxRecord* wanted, TimeNs now_ns) {
  const bool late = hold.state == HoldState::tombstone;
  const Result<Nanos> available = close_account(tables, hold, charge, now_ns);
  if (!available) return std::unexpected(available.error());
  if (const Result<> ended = end_idem(tables, hold, charge.charged + charge.excess); !ended) {
    return std::unexpected(ended.error());
  }
  if (Result<bool> erased = tables.erase(Table::holds, span_of(hold_key(id))); !erased) {
    return std::unexpected(erased.error());
  }
  // In place: a copy of it would wait until the row is written to memory that is seldom at hand.
  Result<Outcome> closed(std::in_place);
  Outcome& outcome = *closed;
  outcome.hold = id;
  outcome.available = *available;
  outcome.charge = charge;
  outcome.late = late;
  if (wanted != nullptr) {
    OutboxRecord record = *wanted;
    const bool nothing = (charge.flags & price::kChargeVoid) != 0;
    const OutboxKind kind = late      ? OutboxKind::late
                            : nothing ? OutboxKind::voided
                                      : OutboxKind::usage;
    fill_record(record, id, hold, slot, charge, kind);
    outcome.outbox_seq = ++slot.outbox_seq;
    if (Result<> put =
            store(tables, Table::outbox, span_of(outbox_key(id.slot, outcome.outbox_seq)), record);
        !put) {
      return std::unexpected(put.error());
    }
  }
  return closed;
}

Result<SlotRecord> load_slot(Tables& tables, SlotId slot) {
  Result<SlotRecord> record(std::in_place);
  const Result<bool> found = load_into(tables, Table::slots, span_of(number_key(slot)), *record);
  if (!found) return std::unexpected(found.error());
  record->slot = slot;
  return record;
}

/// A hold that is not there: closed before if its number was given out, else nobody's.
Result<Outcome> absent_hold(Tables& tables, const HoldId& id) {
  const Result<SlotRecord> slot = load_slot(tables, id.slot);
  if (!slot) return std::unexpected(slot.error());
  if (id.seq == 0 || id.seq > slot->hold_seq) return fail(Errc::not_found);
  Outcome outcome;
  outcome.verdict = Verdict::already_closed;
  outcome.hold = id;
  return outcome;
}

/// Rows 3, 4 and 7: they differ in the charge and in whether a row is wanted.
Result<Outcome> close_one(Tables& tables, const HoldId& id, const price::Charge& wanted_charge,
                          const OutboxRecord* record, TimeNs now_ns) {
  Result<Loaded<HoldRecord>> hold = load<HoldRecord>(tables, Table::holds, span_of(hold_key(id)));
  if (!hold) return std::unexpected(hold.error());
  if (!hold->found) return absent_hold(tables, id);
  Result<SlotRecord> slot = load_slot(tables, id.slot);
  if (!slot) return std::unexpected(slot.error());
  const price::Charge charge = resplit(wanted_charge, hold->record);
  Result<Outcome> outcome = close_hold(tables, id, hold->record, *slot, charge, record, now_ns);
  if (!outcome || record == nullptr) return outcome;  // no row: the slot has not changed
  if (Result<> put = store(tables, Table::slots, span_of(number_key(id.slot)), *slot); !put) {
    return std::unexpected(put.error());
  }
  return outcome;
}

price::Charge void_charge() {
  price::Charge charge;
  charge.flags = price::kChargeVoid;
  return charge;
}

}  // namespace

// Rows 3 and 7.
Result<Outcome> apply(Tables& tables, const SettleVerb& verb) {
  if (verb.charge.cost < 0 || verb.record == nullptr) return fail(Errc::bad_value);
  return close_one(tables, verb.hold, verb.charge, verb.record, verb.now_ns);
}

// Row 4.
Result<Outcome> apply(Tables& tables, const VoidVerb& verb) {
  return close_one(tables, verb.hold, void_charge(), verb.record, verb.now_ns);
}

// Row 6.
Result<Outcome> apply(Tables& tables, const ExpireVerb& verb) {
  const HoldKey key = hold_key(verb.hold);
  Result<Loaded<HoldRecord>> hold = load<HoldRecord>(tables, Table::holds, span_of(key));
  if (!hold) return std::unexpected(hold.error());
  if (!hold->found) return absent_hold(tables, verb.hold);
  HoldRecord& record = hold->record;
  Outcome outcome;
  outcome.hold = verb.hold;
  if (record.state == HoldState::tombstone) {
    outcome.verdict = Verdict::already_closed;
    return outcome;
  }
  if (verb.now_ns <= record.deadline_ns) {
    outcome.verdict = Verdict::refused;
    return outcome;
  }
  const price::Charge nothing = void_charge();
  const Result<Nanos> available = close_account(tables, record, nothing, verb.now_ns);
  if (!available) return std::unexpected(available.error());
  record.state = HoldState::tombstone;
  if (Result<> put = store(tables, Table::holds, span_of(key), record); !put) {
    return std::unexpected(put.error());
  }
  outcome.available = *available;
  outcome.charge = nothing;
  return outcome;
}

// Row 5.
Result<ReapOutcome> apply(Tables& tables, const ReapVerb& verb) {
  std::array<HoldId, kMaxHoldsPerReap> ids;
  std::size_t count = 0;
  ReapOutcome outcome;
  HoldId from(verb.epoch, verb.slot, 0);
  for (;;) {
    const Result<Row> row = tables.seek(Table::holds, span_of(hold_key(from)));
    if (!row) return std::unexpected(row.error());
    if (row->key.empty()) break;
    const Result<HoldId> id = parse_hold_key(row->key);
    if (!id) return std::unexpected(id.error());
    if (id->epoch != verb.epoch || id->slot != verb.slot) break;
    if (count == ids.size()) {
      outcome.more = true;
      break;
    }
    ids[count++] = *id;
    from.seq = id->seq + 1;
  }
  Result<SlotRecord> slot = load_slot(tables, verb.slot);
  if (!slot) return std::unexpected(slot.error());
  if (verb.first) ++slot->incarnation;
  for (std::size_t i = 0; i < count; ++i) {
    const HoldKey key = hold_key(ids[i]);
    Result<Loaded<HoldRecord>> hold = load<HoldRecord>(tables, Table::holds, span_of(key));
    if (!hold) return std::unexpected(hold.error());
    if (hold->record.state == HoldState::tombstone) {
      if (const Result<> ended = end_idem(tables, hold->record, 0); !ended) {
        return std::unexpected(ended.error());
      }
      if (Result<bool> erased = tables.erase(Table::holds, span_of(key)); !erased) {
        return std::unexpected(erased.error());
      }
      ++outcome.tombstones;
      continue;
    }
    OutboxRecord record;
    const price::Charge decided =
        verb.policy.decide(verb.policy.context, ids[i], hold->record, record);
    const price::Charge charge = resplit(decided, hold->record);
    const Result<Outcome> closed =
        close_hold(tables, ids[i], hold->record, *slot, charge, &record, 0);
    if (!closed) return std::unexpected(closed.error());
    ++outcome.closed;
    outcome.charged += charge.charged + charge.excess;
  }
  if (Result<> put = store(tables, Table::slots, span_of(number_key(verb.slot)), *slot); !put) {
    return std::unexpected(put.error());
  }
  return outcome;
}

const char* to_string(Limit limit) {
  switch (limit) {
    case Limit::none:
      return "none";
    case Limit::balance:
      return "balance";
    case Limit::key_total:
      return "key_total";
    case Limit::key_day:
      return "key_day";
    case Limit::key_month:
      return "key_month";
    case Limit::wallet_total:
      return "wallet_total";
    case Limit::wallet_day:
      return "wallet_day";
    case Limit::wallet_month:
      return "wallet_month";
    case Limit::key_in_flight:
      return "key_in_flight";
    case Limit::wallet_in_flight:
      return "wallet_in_flight";
    case Limit::key_requests:
      return "key_requests";
    case Limit::wallet_requests:
      return "wallet_requests";
    case Limit::key_tokens:
      return "key_tokens";
    case Limit::wallet_tokens:
      return "wallet_tokens";
    case Limit::key_state:
      return "key_state";
    case Limit::wallet_state:
      return "wallet_state";
    case Limit::expired:
      return "expired";
    case Limit::undrained:
      return "undrained";
    case Limit::map_full:
      return "map_full";
    case Limit::repeated:
      return "repeated";
    case Limit::idem_full:
      return "idem_full";
  }
  return "unknown";
}

}  // namespace sluice::state
