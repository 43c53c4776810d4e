// What a reservation meets in one counter row: windows, budgets, buckets. Pure arithmetic on
// records.
#pragma once

#include "sluice/base/units.hpp"
#include "sluice/state/records.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {

/// Names of the limits of a key or of a wallet.
struct LimitNames {
  Limit total, day, month, in_flight, requests, tokens;
};
[[nodiscard]] const LimitNames& limit_names(CounterKind kind);

/// The nearest money limit seen so far.
struct Headroom {
  Nanos nanos;
  Limit limit;
  /// Keeps the smaller one.
  void consider(Nanos other, Limit name);
};

/// Moves `day` and `month` to the caller's windows if those are later; never back.
void roll(CounterRecord& counters, WindowIds now);

/// Lowers `headroom` to what the budgets leave.
void consider_budgets(const CounterRecord& counters, Headroom& headroom);

/// available + overdraft_limit, without overflow.
[[nodiscard]] Nanos spendable(const WalletRecord& wallet);

struct RateDecision {
  Limit limit = Limit::none;
  TimeNs retry_after_ns = 0;
};
/// Shows a party's buckets in `view`, where they have less left than what is there.
void show_rates(const CounterRecord& counters, TimeNs now_ns, RateView& view);
/// At the end of a hold `used` tokens are known where `reserved` were counted. Too many are given
/// back less what has flowed in since (`held_ns`; negative = not known: nothing is given back), too
/// few are charged now.
void correct_tokens(CounterRecord& counters, Tokens reserved, Tokens used, TimeNs now_ns,
                    TimeNs held_ns);
/// Checks the request bucket alone, and charges it when it passes.
[[nodiscard]] RateDecision take_request(CounterRecord& counters, TimeNs now_ns);
/// Checks in-flight and both buckets; charges the buckets in `counters` when all pass.
[[nodiscard]] RateDecision take_rates(CounterRecord& counters, Tokens rate_tokens, TimeNs now_ns);

/// Adds to what is reserved: total always, day and month only where `hold` was counted in the
/// current window.
void add_reserved(CounterRecord& counters, const WindowIds& hold, Nanos amount);
/// Takes `reserved` away and adds `spent`, by the same rule (rows 3 and 7).
void close_reserved(CounterRecord& counters, const WindowIds& hold, Nanos reserved, Nanos spent);

}  // namespace sluice::state
