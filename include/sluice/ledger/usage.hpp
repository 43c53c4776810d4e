// Usage rows: what the edge's outbox says about one request, and what draining them into the books
// takes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sluice/ledger/records.hpp"

namespace sluice::ledger {

inline constexpr std::size_t kFees = price::kFees;

/// An attempt that failed. Numbers of faults are those of the outbox record.
struct UsageAttempt {
  Id channel_id = 0;  ///< 0 = there was none
  Id channel_key_id = 0;
  std::int64_t status = 0;  ///< of the provider's answer, 0 = none came
  std::int64_t fault = 0;
  bool sent = false;  ///< a byte of the request may have reached the provider
  std::int64_t lasted_ms = 0;
  Nanos cost = 0;
};
inline constexpr std::size_t kUsageAttempts = 4;

/// One usage record. (node, epoch, slot, seq) is unique for ever; seq starts at 1 for each slot of
/// an epoch. Numbers of kinds, ends, formats and errors are those of the outbox record.
struct UsageRow {
  std::uint32_t slot = 0;
  std::uint64_t seq = 0;
  std::uint64_t hold_seq = 0;  ///< of (epoch, slot): the hold that this row closed
  std::int64_t kind = 0;       ///< usage, late, voided
  std::int64_t end = 0;        ///< how the request ended
  std::int64_t phase = 0;      ///< how far it came with the provider
  std::int64_t status = 0;     ///< HTTP status the client got
  std::int64_t error = 0;      ///< Errc, 0 = none
  std::int64_t flags = 0;      ///< estimated, partial, crash, …
  std::int64_t format_in = 0;
  std::int64_t format_out = 0;
  bool stream = false;
  Id wallet_id = 0;
  Id key_id = 0;
  Id model_id = 0;
  Id channel_id = 0;
  Id channel_key_id = 0;
  Id price_version = 0;
  std::int64_t multiplier = 1000;
  std::int64_t attempts = 0;
  std::int64_t client_retry = 0;
  std::string request_id;  ///< 32 hex digits
  std::string client_address;
  std::string tags;
  Tokens input = 0;  ///< uncached
  Tokens cache_read = 0;
  Tokens cache_write_short = 0;
  Tokens cache_write_long = 0;
  Tokens output = 0;                        ///< all output, reasoning included
  Tokens reasoning = 0;                     ///< of `output`
  std::array<std::int64_t, kFees> calls{};  ///< tool calls that have a fee
  Tokens input_estimate = 0;
  Tokens counted_output = 0;
  Nanos held = 0;         ///< the hold's amount when it closed
  Nanos charged = 0;      ///< from the hold
  Nanos excess = 0;       ///< above the hold, paid by the wallet
  Nanos loss = 0;         ///< above that, the operator's
  TimeNs started_ns = 0;  ///< real time
  TimeNs queue_ns = 0;    ///< durations since the start; 0 = not reached
  TimeNs connect_ns = 0;
  TimeNs first_byte_ns = 0;
  TimeNs first_token_ns = 0;
  TimeNs total_ns = 0;
  TimeNs own_ns = 0;  ///< CPU time of the gateway itself
  std::int64_t bytes_in = 0;
  std::int64_t bytes_out = 0;
  std::int64_t key_day = 0;  ///< windows that the hold was counted in
  std::int64_t key_month = 0;
  std::int64_t wallet_day = 0;
  std::int64_t wallet_month = 0;
  std::int64_t route_reason = 0;
  Id route_group_id = 0;
  Nanos upstream_cost = 0;  ///< of the last attempt
  /// In order. Not read by list(): see UsageBook::attempts().
  std::array<UsageAttempt, kUsageAttempts> failed{};
};

/// The last sequence number of a slot that the books hold.
struct Cursor {
  std::uint32_t node = 0;
  std::uint64_t epoch = 0;
  std::uint32_t slot = 0;
  std::uint64_t seq = 0;
};

/// Rows of one node and epoch, slots in any order, rows of a slot contiguous and ascending.
struct DrainBatch {
  std::uint32_t node = 0;
  std::uint64_t epoch = 0;
  std::vector<UsageRow> rows;  ///< at most kDrainRowsMax
};

/// What comes in one drain interval (20 ms) at 50,000 requests a second: fuller batches write the
/// sums of an owner and the half-filled pages less often, and a transaction still takes only some
/// milliseconds.
inline constexpr std::size_t kDrainRowsMax = 1'000;

/// A hole in the sequence of a slot that will never be filled: power cut or salvage. seq in [from,
/// until).
struct Gap {
  std::uint32_t node = 0;
  std::uint64_t epoch = 0;
  std::uint32_t slot = 0;
  std::uint64_t from_seq = 0;
  std::uint64_t until_seq = 0;  ///< 0 = unknown
  std::string reason;
  TimeNs at_ns = 0;
};

enum class OwnerKind : std::uint8_t { key = 1, wallet = 2 };

/// Money spent by a key or a wallet on one day of its zone: what a rebuild starts its counters
/// from.
struct WindowSum {
  OwnerKind owner_kind = OwnerKind::key;
  Id owner_id = 0;
  std::int64_t day = 0;  ///< window ids of the shared state
  std::int64_t month = 0;
  Nanos spent = 0;
};

struct UsageFilter {
  TimeNs since_ns = 0;
  TimeNs until_ns = 0;  ///< 0 = now
  Id wallet_id = 0;     ///< 0 = all; so are the others
  Id key_id = 0;
  Id model_id = 0;
  Id channel_id = 0;
  std::string request_id;
  std::string tag;           ///< "name=value", or the name alone
  std::int64_t limit = 100;  ///< newest first
};

enum class StatsBy : std::uint8_t { day, model, key, channel };

/// Sums of usage under one heading. Days are UTC.
struct UsageStats {
  std::string name;
  std::int64_t requests = 0;
  Tokens input = 0;  ///< all input classes together
  Tokens output = 0;
  Nanos charged = 0;  ///< charged + excess
  /// Of the operator, by list prices and the channels' multipliers; attempts that failed included,
  /// each at its own channel.
  Nanos upstream_cost = 0;
};

/// How good the estimates of one model were where the provider told its usage: sums of both.
struct EstimateSums {
  std::string model;
  std::int64_t reported = 0;   ///< requests with usage by the provider
  std::int64_t estimated = 0;  ///< requests that were charged by estimate
  Tokens input_estimate = 0;   ///< of those with usage, as the four below
  Tokens input = 0;            ///< all input classes together
  Tokens counted_output = 0;
  Tokens output = 0;
};

}  // namespace sluice::ledger
