// The verbs of the shared state as pure functions over Tables: no clock, no I/O, no allocation. Row
// numbers are those of state-machine.md. Each verb reads and decides first and writes last; when a
// write fails the caller aborts the whole transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/price/charge.hpp"
#include "sluice/state/ids.hpp"
#include "sluice/state/records.hpp"
#include "sluice/state/tables.hpp"

namespace sluice::state {

inline constexpr std::size_t kMaxVerbsPerTxn = 32;  ///< group commit of a shard
inline constexpr std::size_t kMaxHoldsPerReap = 32;
inline constexpr std::size_t kMaxRowsPerTxn = 64;  ///< publishing and deleting

/// Which limit refused. The text for a client is made by relay and dialect.
enum class Limit : std::uint8_t {
  none = 0,
  balance,    ///< wallet: available − amount would fall below −overdraft_limit
  key_total,  ///< budgets of the key …
  key_day,
  key_month,
  wallet_total,  ///< … and of the wallet
  wallet_day,
  wallet_month,
  key_in_flight,
  wallet_in_flight,
  key_requests,  ///< requests a minute
  wallet_requests,
  key_tokens,  ///< tokens a minute
  wallet_tokens,
  key_state,     ///< disabled or revoked since authentication
  wallet_state,  ///< suspended
  expired,       ///< extend: the hold was expired by age
  undrained,     ///< admission stopped: the reconciler lags (503)
  map_full,      ///< admission stopped: 70 % of the map is used (503)
  repeated,      ///< the Idempotency-Key was used before: see Outcome::first
  idem_full,     ///< no more Idempotency-Keys can be remembered now
};

enum class Verdict : std::uint8_t {
  done = 0,
  refused = 1,         ///< nothing was changed; see limit
  already_closed = 2,  ///< the hold was closed before: nothing was changed
};

/// One bucket as a client is told of it.
struct RateWindow {
  std::uint64_t limit = 0;      ///< a minute; 0 = there is none
  std::uint64_t remaining = 0;  ///< that would be admitted now
  TimeNs reset_ns = 0;          ///< until the bucket is full again
};

/// Of the buckets of key and wallet the ones with less left, after the reservation.
struct RateView {
  RateWindow requests;
  RateWindow tokens;
};

/// The request that an Idempotency-Key was first used for.
struct FirstUse {
  RequestId request_id{};
  Nanos cost = 0;
  bool running = false;
};

struct Outcome {
  Verdict verdict = Verdict::done;
  Limit limit = Limit::none;
  HoldId hold;                   ///< reserve: the new hold
  std::uint32_t extensions = 0;  ///< extend: the hold's extension number now
  Nanos held = 0;                ///< extend: what the hold has now
  Nanos affordable = 0;  ///< refused by money: the largest amount that would have passed, ≥ 0
  /// refused by a rate: when the bucket admits it; by a budget window: 0
  TimeNs retry_after_ns = 0;
  Nanos available = 0;           ///< of the wallet after the verb
  price::Charge charge;          ///< settle, late settle: how the cost was split
  std::uint64_t outbox_seq = 0;  ///< settle, void with a record: its number
  bool late = false;             ///< settle of an expired hold (row 7)
  RateView rates;                ///< reserve, request
  FirstUse first;                ///< reserve refused as repeated
};

/// Row 1.
struct ReserveVerb {
  WalletId wallet_id = 0;
  KeyId key_id = 0;
  Nanos amount = 0;       ///< ≥ 0; 0 only for free models
  Nanos excess_max = 0;   ///< ≥ 0
  WindowIds key_windows;  ///< current windows in the key's and the wallet's zone
  WindowIds wallet_windows;
  std::uint64_t price_version = 0;
  std::uint32_t multiplier = price::kOne;
  std::uint32_t model_id = 0;
  price::Tier tier = price::Tier::standard;
  std::uint8_t format = 0;
  HoldKind kind = HoldKind::request;
  RequestId request_id{};
  TimeNs opened_at_ns = 0;  ///< realtime
  TimeNs deadline_ns = 0;   ///< monotonic: total timeout + 60 s
  TimeNs now_ns = 0;        ///< monotonic, for the rate buckets
  Tokens input_estimate = 0;
  Tokens rate_tokens = 0;  ///< tokens counted against tokens a minute, until the end says better
  IdemHash idem{};         ///< of the client's Idempotency-Key
};

/// One request of the buckets, and nothing else: for what costs no money and is no load on a
/// provider. Budgets, tokens, requests at once and the state of key and wallet are not looked at.
struct RequestVerb {
  WalletId wallet_id = 0;
  KeyId key_id = 0;
  TimeNs now_ns = 0;  ///< monotonic
};

/// Row 2.
struct ExtendVerb {
  HoldId hold;
  Nanos amount = 0;  ///< > 0
  /// extensions so far; another number = already done (no-op)
  std::uint32_t expected_extensions = 0;
  WindowIds key_windows;  ///< current windows
  WindowIds wallet_windows;
};

/// Rows 3 and 7.
struct SettleVerb {
  HoldId hold;
  price::Charge
      charge;  ///< from price::charge(); the split is made again from the hold in the table
  const OutboxRecord* record =
      nullptr;        ///< never null; what the verb knows better it fills in a copy
  TimeNs now_ns = 0;  ///< monotonic; 0 = not known: the token buckets get nothing back
};

/// Row 4.
struct VoidVerb {
  HoldId hold;
  const OutboxRecord* record = nullptr;  ///< null = no outbox row
  TimeNs now_ns = 0;                     ///< as in SettleVerb
};

/// Row 6: void with a tombstone, for a hold that outlived its deadline although its slot's owner
/// lives.
struct ExpireVerb {
  HoldId hold;
  TimeNs now_ns = 0;  ///< monotonic; refused with Limit::none when the deadline is not over
};

/// Decides what a dead shard's hold is charged: fills `record` (ids, counts, flags) and returns the
/// charge.
struct ReapPolicy {
  price::Charge (*decide)(void* context, const HoldId& id, const HoldRecord& hold,
                          OutboxRecord& record) = nullptr;
  void* context = nullptr;
};

/// Row 5, one transaction's worth. The caller holds the slot's lock.
struct ReapVerb {
  SlotId slot = 0;
  std::uint64_t epoch = 0;
  bool first = true;  ///< raises the incarnation
  ReapPolicy policy;
};
struct ReapOutcome {
  std::uint32_t closed = 0;      ///< holds closed
  std::uint32_t tombstones = 0;  ///< tombstones dropped
  Nanos charged = 0;
  bool more = false;  ///< call again with first = false
};

/// Row 10.
struct DeltaVerb {
  WalletId wallet_id = 0;
  /// must be applied_no + 1; ≤ applied_no = done before; more = a gap (conflict)
  std::uint64_t no = 0;
  Nanos delta = 0;  ///< may be negative (forced debit)
};

/// Creates or changes a key. Two digests may name one key id (rotation with overlap).
struct KeyPublish {
  Digest256 digest{};
  bool remove = false;  ///< takes this digest away; counters stay
  KeyRecord record;
  Limits limits;
};

/// Creates a wallet with nothing in it, or changes its policy. Never touches money.
struct WalletPublish {
  WalletId wallet_id = 0;
  Nanos overdraft_limit = 0;
  std::uint32_t group = 0;
  std::uint32_t zone = 0;
  WalletState state = WalletState::active;
  Limits limits;
};

/// Row 9, one transaction's worth.
struct DeleteDrainedVerb {
  SlotId slot = 0;
  std::uint64_t up_to_seq = 0;  ///< inclusive: the ledger's cursor
  std::size_t most = kMaxRowsPerTxn;
};
struct DeleteOutcome {
  std::uint32_t deleted = 0;
  bool more = false;
};

// Errors of all: corrupt (a record fails its check), full or io (a write failed: abort the
// transaction), bad_value (an argument that no caller may give: amounts < 0), not_found (no such
// wallet, key or hold), conflict (delta number, extension number ahead).
[[nodiscard]] Result<Outcome> apply(Tables& tables, SlotId slot, std::uint64_t epoch,
                                    const ReserveVerb& verb);
[[nodiscard]] Result<Outcome> apply(Tables& tables, const RequestVerb& verb);
[[nodiscard]] Result<Outcome> apply(Tables& tables, const ExtendVerb& verb);
[[nodiscard]] Result<Outcome> apply(Tables& tables, const SettleVerb& verb);
[[nodiscard]] Result<Outcome> apply(Tables& tables, const VoidVerb& verb);
[[nodiscard]] Result<Outcome> apply(Tables& tables, const ExpireVerb& verb);
[[nodiscard]] Result<ReapOutcome> apply(Tables& tables, const ReapVerb& verb);
[[nodiscard]] Result<Outcome> apply(Tables& tables, const DeltaVerb& verb);
/// ≤ kMaxRowsPerTxn. Named apart: with a span as argument, std::apply would be a candidate too.
[[nodiscard]] Result<> apply_keys(Tables& tables, std::span<const KeyPublish> keys);
[[nodiscard]] Result<> apply_wallets(Tables& tables, std::span<const WalletPublish> wallets);
[[nodiscard]] Result<DeleteOutcome> apply(Tables& tables, const DeleteDrainedVerb& verb);

/// Name of a limit for metrics and records: "balance", "key_day", …
[[nodiscard]] const char* to_string(Limit limit);

}  // namespace sluice::state
