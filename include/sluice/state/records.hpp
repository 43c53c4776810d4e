// The records of the shared state (design.md §5): fixed size, little-endian, with a version byte
// and a CRC-32C. They are plain structs whose memory is their stored form (the build is x86-64
// only). They have no spare fields: a new layout comes with a new epoch, which is built from the
// ledger.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/price/charge.hpp"
#include "sluice/price/cost.hpp"
#include "sluice/state/ids.hpp"
#include "sluice/state/routing.hpp"

namespace sluice::state {

inline constexpr std::uint32_t kSchemaVersion = 2;

/// First eight bytes of every record. Filled by encode().
struct RecordHeader {
  std::uint8_t version = 0;  ///< of this record's layout
  std::uint8_t kind = 0;     ///< RecordKind: a row in the wrong table is corrupt
  std::uint16_t bytes = 0;   ///< of the record as it is stored
  std::uint32_t crc = 0;     ///< CRC-32C of the record with this field 0
};

enum class RecordKind : std::uint8_t {
  meta = 1,
  key,
  wallet,
  counter,
  slot,
  hold,
  outbox,
  idem,
  catalog
};

/// `meta`["env"]: what the environment is. Read in every write transaction.
struct MetaRecord {
  RecordHeader header;
  std::uint32_t schema = kSchemaVersion;
  /// layout that writers use; the older one during an upgrade
  std::uint32_t write_version = kSchemaVersion;
  std::uint32_t lmdb_flags = 0;  ///< flags of mdb_env_open, equal in every program
  std::uint32_t node = 0;
  std::uint64_t epoch = 0;
  Uuid uuid{};
  Uuid boot_id{};           ///< /proc/sys/kernel/random/boot_id at creation
  std::uint32_t ready = 0;  ///< 1 = complete; an epoch without it is dead
  std::uint32_t slots = 0;
  std::uint64_t published_generation = 0;  ///< ledger's publish sequence that is visible here
  std::uint64_t catalog_generation = 0;
  std::uint64_t addresses_generation = 0;
  TimeNs created_at_ns = 0;  ///< realtime
  std::uint64_t map_bytes = 0;
  std::array<std::uint64_t, 4> reserved{};
};

enum class KeyState : std::uint8_t { active = 1, disabled = 2, revoked = 3 };
enum class OnDisconnect : std::uint8_t { cancel = 0, drain = 1 };
enum class OnLowBalance : std::uint8_t {
  refuse = 0,
  clamp = 1
};  ///< clamp: lower max_tokens to the balance
enum class OnRevoke : std::uint8_t { finish = 0, cut = 1 };
enum class WalletState : std::uint8_t { active = 1, suspended = 2 };

enum KeyFlags : std::uint32_t {
  kKeyMayPin = 1U << 0,  ///< may choose its channel
  kKeyReserveContext =
      1U << 1,  ///< input that is not in the body is allowed, at the price of the context
  kKeyHasBudget = 1U << 2,          ///< some budget is set (counters hold the amounts)
  kKeyHasRateLimit = 1U << 3,       ///< some rate limit is set
  kKeyMaskCredentials = 1U << 4,    ///< credentials in prompts are masked …
  kKeyRefuseCredentials = 1U << 5,  ///< … or the request is refused
};

/// `keys`[HMAC-SHA-256(pepper, API key)]: who asks and what he may. Copied out at authentication.
struct KeyRecord {
  RecordHeader header;
  KeyId key_id = 0;
  WalletId wallet_id = 0;
  TimeNs expires_at_ns = 0;  ///< realtime; 0 = never
  KeyState state = KeyState::active;
  OnDisconnect on_disconnect = OnDisconnect::cancel;
  OnLowBalance on_low_balance = OnLowBalance::refuse;
  OnRevoke on_revoke = OnRevoke::finish;
  std::uint32_t flags = 0;        ///< KeyFlags
  std::uint32_t model_set = 0;    ///< id in the catalog; 0 = every model
  std::uint32_t cidr_set = 0;     ///< id in the catalog; 0 = any address
  std::uint32_t zone = 0;         ///< zone id of the key's windows
  std::uint32_t wallet_zone = 0;  ///< zone id of the wallet's windows
  std::uint32_t group = 0;        ///< customer group, id in the catalog
  std::uint32_t drain_seconds =
      0;  ///< caps of policy drain, from when the client has left; 0 = none
  std::uint64_t drain_bytes = 0;
  Nanos drain_nanos = 0;
  Nanos excess_max = 0;  ///< what the wallet pays above a hold; 0 = one slice of the model
};

/// `accounts`[wallet id]. Identity at every commit: available + held + charged + excess =
/// credits().
struct WalletRecord {
  RecordHeader header;
  WalletId wallet_id = 0;
  Nanos base = 0;                ///< balance of the ledger at the snapshot that built this epoch
  Nanos applied = 0;             ///< Σ deltas published since
  std::uint64_t applied_no = 0;  ///< number of the last delta
  Nanos available = 0;           ///< may be negative: overdraft, forced debits
  Nanos held = 0;                ///< Σ open holds
  Nanos charged = 0;
  Nanos excess = 0;
  Nanos lease_granted = 0;  ///< cumulative totals (fleet mode)
  Nanos lease_returned = 0;
  Nanos overdraft_limit = 0;  ///< ≥ 0
  std::uint32_t group = 0;
  std::uint32_t zone = 0;
  WalletState state = WalletState::active;
  std::array<std::uint8_t, 7> padding{};

  [[nodiscard]] Nanos credits() const { return base + applied + lease_granted - lease_returned; }
};

inline constexpr Nanos kNoBudget = -1;

struct Window {
  Nanos spent = 0;
  Nanos reserved = 0;
};

enum class CounterKind : std::uint8_t { key = 0, wallet = 1 };

/// Limits of a key or a wallet; 0 (or kNoBudget) = none. Published by the reconciler.
struct Limits {
  Nanos budget_total = kNoBudget;
  Nanos budget_day = kNoBudget;
  Nanos budget_month = kNoBudget;
  std::uint32_t in_flight = 0;
  std::uint32_t requests_per_minute = 0;
  std::uint64_t tokens_per_minute = 0;
  std::uint32_t request_burst = 0;  ///< 0 = a minute's worth
  std::uint32_t reserved = 0;
};

/// `accounts`[wallet id, counters of wallet or key]: limits and what was used of them, in one row
/// so that admission reads it once.
struct CounterRecord {
  RecordHeader header;
  std::uint64_t id = 0;  ///< key id or wallet id
  CounterKind kind = CounterKind::key;
  KeyState state = KeyState::active;  ///< of the key: revoked refuses reserve and extend
  std::array<std::uint8_t, 2> padding{};
  std::uint32_t in_flight = 0;
  Limits limits;
  Window total;
  Window day;
  Window month;
  WindowIds windows;           ///< windows that `day` and `month` are of; only ever go up
  TimeNs requests_tat_ns = 0;  ///< request bucket: theoretical arrival time (GCRA), monotonic
  TimeNs tokens_tat_ns = 0;    ///< token bucket
  WalletId wallet_id = 0;      ///< whose; equals `id` for CounterKind::wallet
};

/// `slots`[slot]: sequences of one writer. Written only by the holder of the slot's lock.
struct SlotRecord {
  RecordHeader header;
  SlotId slot = 0;
  std::uint32_t reserved0 = 0;
  std::uint64_t incarnation = 0;  ///< +1 at each reap
  std::uint64_t hold_seq = 0;     ///< last used
  std::uint64_t outbox_seq = 0;   ///< last used
};

/// First half of an HMAC of the client's Idempotency-Key; all zero = none was sent.
using IdemHash = std::array<std::uint8_t, 16>;

enum class HoldKind : std::uint8_t { request = 1, withdraw = 2 };
enum class HoldState : std::uint8_t { open = 1, tombstone = 2 };

/// `holds`[epoch, slot, sequence]: money set aside, and all that is needed to close it without its
/// owner.
struct HoldRecord {
  RecordHeader header;
  HoldKind kind = HoldKind::request;
  HoldState state = HoldState::open;
  price::Tier tier = price::Tier::standard;
  /// client format (dialect's number), for the record of a reaped request
  std::uint8_t format = 0;
  std::uint32_t extensions = 0;  ///< how often `amount` was raised
  WalletId wallet_id = 0;
  KeyId key_id = 0;
  Nanos amount = 0;  ///< extensions included
  Nanos excess_max = 0;
  WindowIds key_windows;  ///< windows that the reservation was counted in
  WindowIds wallet_windows;
  std::uint64_t price_version = 0;
  std::uint32_t multiplier = price::kOne;  ///< of the customer group
  std::uint32_t model_id = 0;
  RequestId request_id{};
  TimeNs opened_at_ns = 0;    ///< realtime; also decides the time-of-day price window
  TimeNs deadline_ns = 0;     ///< monotonic; expiry may take it after this
  Tokens input_estimate = 0;  ///< without margin; for a reap without board
  Tokens rate_tokens = 0;     ///< what the token buckets were charged at the reservation
  TimeNs reserved_at_ns = 0;  ///< monotonic: when that was
  IdemHash idem{};

  [[nodiscard]] price::Terms terms() const { return {opened_at_ns, multiplier, tier}; }
};

enum class OutboxKind : std::uint8_t { usage = 1, late = 2, voided = 3 };

inline constexpr std::size_t kTagBytes = 128;

/// Attempts of one request that can fail, each recorded.
inline constexpr std::size_t kFailedAttempts = 4;
struct FailedAttempt {
  std::uint32_t channel_id = 0;  ///< 0 = there was none
  std::uint32_t channel_key_id = 0;
  std::uint16_t status = 0;  ///< of the answer, 0 = none came
  std::uint8_t fault = 0;    ///< state::Fault
  std::uint8_t sent = 0;     ///< 1 = a byte of the request may have reached the provider
  std::uint32_t lasted_ms = 0;
  Nanos cost = 0;  ///< what the provider may bill for it: the prompt, where no answer came
};
using FailedAttempts = std::array<FailedAttempt, kFailedAttempts>;

/// `outbox`[slot, sequence]: the usage record. It is the access record as well.
struct OutboxRecord {
  RecordHeader header;
  OutboxKind kind = OutboxKind::usage;
  price::End end = price::End::finished;
  price::Phase phase = price::Phase::reserved;
  std::uint8_t format_in = 0;     ///< client format (dialect's number)
  std::uint8_t format_out = 0;    ///< provider format
  std::uint8_t stream = 0;        ///< 1 = streamed
  std::uint16_t http_status = 0;  ///< sent to the client; 0 = none
  HoldId hold;
  std::uint64_t incarnation = 0;  ///< of the slot when written
  KeyId key_id = 0;
  WalletId wallet_id = 0;
  RequestId request_id{};
  std::uint64_t price_version = 0;
  std::uint32_t model_id = 0;
  std::uint32_t channel_id = 0;  ///< 0 = none answered
  std::uint32_t channel_key_id = 0;
  std::uint16_t attempts = 0;      ///< upstream attempts
  std::uint16_t client_retry = 0;  ///< retry count the client says
  std::uint32_t flags = 0;         ///< price::ChargeFlags
  std::uint32_t error = 0;         ///< Errc of the end, 0 = none
  price::TokenCounts counts;       ///< billed
  Tokens input_estimate = 0;
  Tokens counted_output = 0;
  Nanos held = 0;  ///< hold at the end, extensions included
  Nanos charged = 0;
  Nanos excess = 0;
  Nanos loss = 0;
  std::uint32_t multiplier = price::kOne;
  WindowIds key_windows;
  WindowIds wallet_windows;
  std::uint16_t client_address_kind = 0;  ///< 0 none, 4, 6
  WorkKind work = WorkKind::unknown;      ///< what was asked for
  std::array<std::uint8_t, 16> client_address{};
  TimeNs started_at_ns = 0;    ///< realtime
  std::uint64_t queue_ns = 0;  ///< durations since the start of the request; 0 = not reached
  std::uint64_t connect_ns = 0;
  std::uint64_t first_byte_ns = 0;
  std::uint64_t first_token_ns = 0;
  std::uint64_t total_ns = 0;
  std::uint64_t own_ns = 0;  ///< CPU time of the gateway itself
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint32_t route_reason = 0;    ///< state::RouteReason of the last attempt
  std::uint32_t route_group_id = 0;  ///< routing group that was asked for, 0 = a model
  Nanos upstream_cost = 0;           ///< of the last attempt: list price × the channel's multiplier
  FailedAttempts failed{};           ///< in order; the last attempt too if it failed
  std::array<char, kTagBytes> tags{};  ///< the client's labels, "name=value,…", zero padded
};

enum class IdemState : std::uint8_t { running = 1, done = 2 };

/// How long a used Idempotency-Key is remembered.
inline constexpr TimeNs kIdemLifetimeNs = 24 * 3600 * kSecond;

/// `idem`[key id + hash of the client's Idempotency-Key]: the request that used it first. Written
/// by the reservation, changed by the hold's end in the same transactions; a hold that costs
/// nothing takes its row away, so that the client may try again.
struct IdemRecord {
  RecordHeader header;
  RequestId request_id{};
  IdemState state = IdemState::running;
  std::array<std::uint8_t, 7> padding{};
  Nanos cost = 0;            ///< charge and excess, once done
  TimeNs expires_at_ns = 0;  ///< realtime; kIdemLifetimeNs after it was used
};

inline constexpr std::size_t kFileNameBytes = 48;

/// `catalog`["current"]: which immutable files are in force. Names are relative to the epoch's
/// directory.
struct CatalogPointer {
  RecordHeader header;
  std::uint64_t catalog_generation = 0;    ///< 0 = none yet
  std::uint64_t addresses_generation = 0;  ///< 0 = none yet
  std::array<char, kFileNameBytes> catalog_file{};
  std::array<char, kFileNameBytes> addresses_file{};
  std::uint64_t catalog_hash = 0;  ///< content hash in the file's header
  std::uint64_t addresses_hash = 0;
};

using ByteSpan = std::span<const std::byte>;

/// Sets version, kind, size and CRC; the record's own bytes are then its stored form, of a usage
/// record without failed attempts and labels at the end that are zero.
template <class Record>
ByteSpan encode(Record& record);

/// Checks size, version, kind and CRC, and that enumerations and amounts are in range.
/// Errors: Errc::corrupt.
template <class Record>
[[nodiscard]] Result<Record> decode(ByteSpan bytes);
/// The same into memory of the caller; false = corrupt (`out` is then not to be used).
template <class Record>
[[nodiscard]] bool decode_into(ByteSpan bytes, Record& out);

// Keys. Big-endian where order matters, so that LMDB's byte order is the order of the numbers.
using HoldKey = std::array<std::byte, 20>;
using OutboxKey = std::array<std::byte, 12>;
using NumberKey = std::array<std::byte, 8>;
using AccountKey = std::array<std::byte, 17>;
using IdemKey = std::array<std::byte, 24>;

[[nodiscard]] HoldKey hold_key(const HoldId& id);
[[nodiscard]] OutboxKey outbox_key(SlotId slot, std::uint64_t seq);
[[nodiscard]] NumberKey number_key(std::uint64_t id);
/// Row of the wallet itself; its counters and those of its keys follow it.
[[nodiscard]] AccountKey wallet_key(WalletId wallet);
/// `id`: the key's id, or the wallet's again.
[[nodiscard]] AccountKey counter_key(CounterKind kind, WalletId wallet, std::uint64_t id);
[[nodiscard]] IdemKey idem_key(KeyId key, const IdemHash& hash);
/// Back from bytes. Errors: Errc::corrupt on a wrong size.
[[nodiscard]] Result<HoldId> parse_hold_key(ByteSpan key);
struct OutboxId {
  SlotId slot = 0;
  std::uint64_t seq = 0;
  friend bool operator==(const OutboxId&, const OutboxId&) = default;
};
[[nodiscard]] Result<OutboxId> parse_outbox_key(ByteSpan key);

}  // namespace sluice::state
