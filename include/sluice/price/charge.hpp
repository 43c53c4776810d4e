// The one function that says what a request is charged at its end. Relay, reaper and expiry call
// it; auditor and mock never do (state-machine.md).
#pragma once

#include <cstdint>

#include "sluice/base/units.hpp"
#include "sluice/price/cost.hpp"
#include "sluice/price/row.hpp"

namespace sluice::price {

/// How far an exchange came with the provider; the meter board stores it by release stores, forward
/// only within one attempt. Numbers are stored: never renumber.
enum class Phase : std::uint8_t {
  reserved = 0,   ///< nothing sent
  sending = 1,    ///< stored before the first byte is handed to the kernel
  sent = 2,       ///< the last byte of the request was accepted
  streaming = 3,  ///< first semantic event seen
  final = 4,      ///< usage known, counts complete
};

/// How a request ended. Numbers are stored in outbox rows: never renumber.
enum class End : std::uint8_t {
  refused = 0,         ///< before upstream: auth, policy, budget, bad request
  no_candidate = 1,    ///< every candidate failed before output
  finished = 2,        ///< the provider ended in order
  client_left = 3,     ///< client gone; upstream cancelled, or drained for its usage
  upstream_broke = 4,  ///< break or stall on the provider's side
  cut = 5,             ///< we ended it: extension refused, revoked, deadline, drain of the process
  shard_died = 6,      ///< reaped by what the meter board says
  expired = 7,         ///< aged out while its owner lives: void with a tombstone
};

/// What is known of the provider's own numbers.
enum class UsageState : std::uint8_t {
  none = 0,     ///< nothing reported
  partial = 1,  ///< reported so far (prompt side exact, output still running)
  final = 2,    ///< complete
};

struct Metered {
  Tokens input_estimate = 0;  ///< estimate of the prompt, without margin
  Tokens counted_output = 0;  ///< what the meter saw, delivered or not (hidden accrual included)
  UsageState usage_state = UsageState::none;
  TokenCounts usage;  ///< as reported, in the normal form; ignored when usage_state is none
};

/// Bits of outbox rows. Numbers are stored: never renumber.
enum ChargeFlags : std::uint32_t {
  kChargeEstimated = 1U << 0,     ///< no usage: input estimate + counted output
  kChargePartial = 1U << 1,       ///< upstream broke after output
  kChargeCrash = 1U << 2,         ///< closed for a dead shard
  kChargeClamped = 1U << 3,       ///< counts were negative or absurd, or the price was
  kChargeExcess = 1U << 4,        ///< cost was above the hold
  kChargeLoss = 1U << 5,          ///< … and above hold + excess_max: the rest is the operator's
  kChargePriceMissing = 1U << 6,  ///< no usable price row: the hold was charged; to be reviewed
  kChargeVoid = 1U << 7,          ///< nothing was charged
  kChargeLate = 1U << 8,          ///< settled after expiry (set by the shared state)
};

/// The most that one request can have cost the operator above what its wallet pays: usage that
/// says more is absurd. Without it an upstream that claims a thousand million tokens each time
/// fills an account of the books to its end (2^63 nanos) in minutes.
inline constexpr Nanos kMaxLoss = 100 * kNanosPerUsd;

struct Charge {
  Nanos cost = 0;     ///< c: ≥ 0; = charged + excess + loss
  Nanos charged = 0;  ///< min(c, hold)
  Nanos excess = 0;   ///< paid by the wallet above the hold, ≤ excess_max
  Nanos loss = 0;     ///< the operator's `loss.excess`
  std::uint32_t flags = 0;
  TokenCounts billed;  ///< counts that `cost` was made of
};

/// Splits a cost over a hold. All ≥ 0; `cost`, `hold` and `excess_max` below 0 count as 0.
[[nodiscard]] Charge split(Nanos cost, Nanos hold, Nanos excess_max);

/// What to charge. Never fails and never gives a negative amount: usage that cannot be is clamped
/// and flagged; a price that is missing charges the hold and is flagged. `row`: price row of the
/// hold's version, or null if it is gone. `hold`: amount held, extensions included. `excess_max`:
/// what the wallet pays above the hold at most (default: one slice).
[[nodiscard]] Charge charge(End end, Phase phase, const Metered& metered, const PriceRow* row,
                            const Terms& terms, Nanos hold, Nanos excess_max);

}  // namespace sluice::price
