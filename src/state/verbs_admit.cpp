// Reserve and extend: rows 1 and 2 of state-machine.md. All admission that needs a counter is
// decided here.
#include <algorithm>
#include <limits>

#include "admission.hpp"
#include "idem.hpp"
#include "rows.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {
namespace {

/// The three rows that money of a request moves in.
struct Account {
  WalletRecord wallet;
  CounterRecord key;
  CounterRecord of_wallet;
};

Result<Account> load_account(Tables& tables, WalletId wallet_id, KeyId key_id) {
  Result<Account> account(std::in_place);
  const Result<bool> wallet =
      load_into(tables, Table::accounts, span_of(wallet_key(wallet_id)), account->wallet);
  if (!wallet) return std::unexpected(wallet.error());
  const AccountKey key_row = counter_key(CounterKind::key, wallet_id, key_id);
  const Result<bool> key = load_into(tables, Table::accounts, span_of(key_row), account->key);
  if (!key) return std::unexpected(key.error());
  const AccountKey wallet_row = counter_key(CounterKind::wallet, wallet_id, wallet_id);
  const Result<bool> of_wallet =
      load_into(tables, Table::accounts, span_of(wallet_row), account->of_wallet);
  if (!of_wallet) return std::unexpected(of_wallet.error());
  if (!*wallet || !*key || !*of_wallet) return fail(Errc::not_found);
  return account;
}

Result<> store_account(Tables& tables, Account& account) {
  const WalletId id = account.wallet.wallet_id;
  const AccountKey wallet = wallet_key(id);
  if (Result<> put = store(tables, Table::accounts, span_of(wallet), account.wallet); !put)
    return put;
  const AccountKey key = counter_key(CounterKind::key, id, account.key.id);
  if (Result<> put = store(tables, Table::accounts, span_of(key), account.key); !put) return put;
  const AccountKey of_wallet = counter_key(CounterKind::wallet, id, id);
  return store(tables, Table::accounts, span_of(of_wallet), account.of_wallet);
}

Outcome refuse(Limit limit, Nanos available, Outcome outcome = {}) {
  outcome.verdict = Verdict::refused;
  outcome.limit = limit;
  outcome.available = available;
  return outcome;
}

Limit state_limit(const Account& account) {
  if (account.key.state != KeyState::active) return Limit::key_state;
  if (account.wallet.state != WalletState::active) return Limit::wallet_state;
  return Limit::none;
}

/// The money limit that is nearest: available − a ≥ −limit, and spent + reserved + a ≤ budget in
/// every window.
Headroom money_headroom(const Account& account) {
  Headroom headroom{std::numeric_limits<Nanos>::max(), Limit::none};
  headroom.consider(spendable(account.wallet), Limit::balance);
  consider_budgets(account.key, headroom);
  consider_budgets(account.of_wallet, headroom);
  return headroom;
}

Result<> move_to_held(Account& account, Nanos amount) {
  if (__builtin_add_overflow(account.wallet.held, amount, &account.wallet.held)) {
    return fail(Errc::bad_value);
  }
  account.wallet.available -= amount;
  return {};
}

HoldRecord new_hold(const ReserveVerb& verb, const Account& account) {
  HoldRecord hold;
  hold.kind = verb.kind;
  hold.tier = verb.tier;
  hold.format = verb.format;
  hold.wallet_id = verb.wallet_id;
  hold.key_id = verb.key_id;
  hold.amount = verb.amount;
  hold.excess_max = verb.excess_max;
  // Windows only go forward: after a clock that went back, the counters' own windows count.
  hold.key_windows = account.key.windows;
  hold.wallet_windows = account.of_wallet.windows;
  hold.price_version = verb.price_version;
  hold.multiplier = verb.multiplier;
  hold.model_id = verb.model_id;
  hold.request_id = verb.request_id;
  hold.opened_at_ns = verb.opened_at_ns;
  hold.deadline_ns = verb.deadline_ns;
  hold.input_estimate = verb.input_estimate;
  hold.rate_tokens = verb.rate_tokens;
  hold.reserved_at_ns = verb.now_ns;
  hold.idem = verb.idem;
  return hold;
}

/// Rates of both parties, or neither: what the key was charged is taken back when the wallet
/// refuses. `take` is asked for one party after the other.
template <class Take>
RateDecision take_of_both(CounterRecord& key, CounterRecord& of_wallet, TimeNs now_ns,
                          RateView& view, Take take) {
  const TimeNs requests_ns = key.requests_tat_ns;
  const TimeNs tokens_ns = key.tokens_tat_ns;
  RateDecision rates = take(key);
  if (rates.limit == Limit::none) {
    rates = take(of_wallet);
    if (rates.limit != Limit::none) {
      key.requests_tat_ns = requests_ns;
      key.tokens_tat_ns = tokens_ns;
    }
  }
  show_rates(key, now_ns, view);
  show_rates(of_wallet, now_ns, view);
  return rates;
}

}  // namespace

// Row 1.
Result<Outcome> apply(Tables& tables, SlotId slot_id, std::uint64_t epoch,
                      const ReserveVerb& verb) {
  if (verb.amount < 0 || verb.excess_max < 0 || verb.input_estimate < 0 || verb.rate_tokens < 0)
    return fail(Errc::bad_value);
  Result<Account> account = load_account(tables, verb.wallet_id, verb.key_id);
  if (!account) return std::unexpected(account.error());
  const NumberKey slot_key = number_key(slot_id);
  Result<Loaded<SlotRecord>> slot = load<SlotRecord>(tables, Table::slots, span_of(slot_key));
  if (!slot) return std::unexpected(slot.error());
  slot->record.slot = slot_id;

  if (const Limit limit = state_limit(*account); limit != Limit::none) {
    return refuse(limit, account->wallet.available);
  }
  Outcome outcome;
  if (names_key(verb.idem)) {
    // First of all: the first request may have taken what this one would need.
    const Result<Limit> idem = check_idem(tables, verb, outcome.first);
    if (!idem) return std::unexpected(idem.error());
    if (*idem != Limit::none) return refuse(*idem, account->wallet.available, outcome);
  }
  roll(account->key, verb.key_windows);
  roll(account->of_wallet, verb.wallet_windows);
  const Headroom headroom = money_headroom(*account);
  if (verb.amount > headroom.nanos) {
    outcome = refuse(headroom.limit, account->wallet.available);
    outcome.affordable = std::max<Nanos>(headroom.nanos, 0);
    return outcome;
  }
  const RateDecision rates = take_of_both(
      account->key, account->of_wallet, verb.now_ns, outcome.rates,
      [&](CounterRecord& counters) { return take_rates(counters, verb.rate_tokens, verb.now_ns); });
  if (rates.limit != Limit::none) {
    outcome = refuse(rates.limit, account->wallet.available, outcome);
    outcome.retry_after_ns = rates.retry_after_ns;
    return outcome;
  }

  if (Result<> moved = move_to_held(*account, verb.amount); !moved)
    return std::unexpected(moved.error());
  HoldRecord hold = new_hold(verb, *account);
  add_reserved(account->key, hold.key_windows, verb.amount);
  add_reserved(account->of_wallet, hold.wallet_windows, verb.amount);
  ++account->key.in_flight;
  ++account->of_wallet.in_flight;
  const HoldId id(epoch, slot_id, ++slot->record.hold_seq);

  if (Result<> put = store_account(tables, *account); !put) return std::unexpected(put.error());
  if (Result<> put = store(tables, Table::holds, span_of(hold_key(id)), hold); !put) {
    return std::unexpected(put.error());
  }
  if (names_key(verb.idem)) {
    if (Result<> put = begin_idem(tables, verb); !put) return std::unexpected(put.error());
  }
  if (Result<> put = store(tables, Table::slots, span_of(slot_key), slot->record); !put) {
    return std::unexpected(put.error());
  }
  outcome.hold = id;
  outcome.available = account->wallet.available;
  return outcome;
}

// No row of the state machine: no money moves, and a bucket that was charged twice for a reply that
// was lost is one request less.
Result<Outcome> apply(Tables& tables, const RequestVerb& verb) {
  Result<Account> account = load_account(tables, verb.wallet_id, verb.key_id);
  if (!account) return std::unexpected(account.error());
  Outcome outcome;
  const RateDecision rates =
      take_of_both(account->key, account->of_wallet, verb.now_ns, outcome.rates,
                   [&](CounterRecord& counters) { return take_request(counters, verb.now_ns); });
  if (rates.limit != Limit::none) {
    outcome = refuse(rates.limit, account->wallet.available, outcome);
    outcome.retry_after_ns = rates.retry_after_ns;
    return outcome;
  }
  outcome.available = account->wallet.available;
  if (outcome.rates.requests.limit == 0) return outcome;  // there is no bucket: nothing has changed
  if (Result<> put = store_account(tables, *account); !put) return std::unexpected(put.error());
  return outcome;
}

// Row 2. An extension is checked against the current windows, but counted by day and month only
// where its hold was: at the hold's end the same windows are relieved.
Result<Outcome> apply(Tables& tables, const ExtendVerb& verb) {
  if (verb.amount <= 0) return fail(Errc::bad_value);
  const HoldKey key = hold_key(verb.hold);
  Result<Loaded<HoldRecord>> hold = load<HoldRecord>(tables, Table::holds, span_of(key));
  if (!hold) return std::unexpected(hold.error());
  if (!hold->found) {
    Outcome outcome;
    outcome.verdict = Verdict::already_closed;
    outcome.hold = verb.hold;
    return outcome;
  }
  HoldRecord& record = hold->record;
  if (record.state == HoldState::tombstone) return refuse(Limit::expired, 0);
  if (record.extensions < verb.expected_extensions) return fail(Errc::conflict);
  Result<Account> account = load_account(tables, record.wallet_id, record.key_id);
  if (!account) return std::unexpected(account.error());
  Outcome outcome;
  outcome.hold = verb.hold;
  // The same verb again; or another one, and the owner was not told that the first had been done.
  if (record.extensions > verb.expected_extensions) {
    outcome.extensions = record.extensions;
    outcome.held = record.amount;
    outcome.available = account->wallet.available;
    return outcome;
  }
  if (const Limit limit = state_limit(*account); limit != Limit::none) {
    return refuse(limit, account->wallet.available);
  }
  roll(account->key, verb.key_windows);
  roll(account->of_wallet, verb.wallet_windows);
  const Headroom headroom = money_headroom(*account);
  if (verb.amount > headroom.nanos) {
    outcome = refuse(headroom.limit, account->wallet.available);
    outcome.affordable = std::max<Nanos>(headroom.nanos, 0);
    return outcome;
  }
  if (Result<> moved = move_to_held(*account, verb.amount); !moved)
    return std::unexpected(moved.error());
  if (__builtin_add_overflow(record.amount, verb.amount, &record.amount))
    return fail(Errc::bad_value);
  ++record.extensions;
  add_reserved(account->key, record.key_windows, verb.amount);
  add_reserved(account->of_wallet, record.wallet_windows, verb.amount);

  if (Result<> put = store_account(tables, *account); !put) return std::unexpected(put.error());
  if (Result<> put = store(tables, Table::holds, span_of(key), record); !put) {
    return std::unexpected(put.error());
  }
  outcome.extensions = record.extensions;
  outcome.held = record.amount;
  outcome.available = account->wallet.available;
  return outcome;
}

}  // namespace sluice::state
