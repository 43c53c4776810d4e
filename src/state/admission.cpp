#include "admission.hpp"

#include <algorithm>
#include <limits>

namespace sluice::state {
namespace {

constexpr TimeNs kMinute = 60 * kSecond;
constexpr Nanos kMost = std::numeric_limits<Nanos>::max();

constexpr LimitNames kKeyNames{Limit::key_total,     Limit::key_day,      Limit::key_month,
                               Limit::key_in_flight, Limit::key_requests, Limit::key_tokens};
constexpr LimitNames kWalletNames{Limit::wallet_total,    Limit::wallet_day,
                                  Limit::wallet_month,    Limit::wallet_in_flight,
                                  Limit::wallet_requests, Limit::wallet_tokens};

Nanos add_to_most(Nanos a, Nanos b) {
  Nanos sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kMost : sum;
}

/// budget − spent − reserved; spent and reserved are ≥ 0, so this cannot overflow downwards by
/// much: the sum is taken first and saturates.
Nanos left_of(Nanos budget, const Window& window) {
  return budget - std::min(add_to_most(window.spent, window.reserved), kMost / 2);
}

void shrink(Nanos& value, Nanos by) { value = std::max<Nanos>(value - by, 0); }

/// Generic cell rate: `tat` is when the bucket would be full again. A full bucket always admits one
/// request, however large, which then goes into debt.
struct Bucket {
  TimeNs tat;      ///< theoretical arrival time after admission
  TimeNs wait_ns;  ///< 0 = admitted
};
Bucket take(TimeNs tat, TimeNs now_ns, TimeNs cost_ns, TimeNs depth_ns) {
  const TimeNs from = std::max(tat, now_ns);
  const TimeNs after = add_to_most(from, cost_ns);
  const TimeNs wait = from == now_ns ? 0 : after - depth_ns - now_ns;
  return {after, std::max<TimeNs>(wait, 0)};
}

TimeNs scaled_minute(std::uint64_t part, std::uint64_t whole) {
  __extension__ using Wide = unsigned __int128;
  const Wide ns = static_cast<Wide>(kMinute) * part / whole;
  return static_cast<TimeNs>(std::min<Wide>(ns, static_cast<Wide>(kMost / 4)));
}

TimeNs request_cost(const Limits& limits) { return scaled_minute(1, limits.requests_per_minute); }

std::uint64_t request_burst(const Limits& limits) {
  return limits.request_burst != 0 ? limits.request_burst : limits.requests_per_minute;
}

void keep_less(RateWindow& shown, const RateWindow& other) {
  if (shown.limit == 0 || other.remaining < shown.remaining) shown = other;
}

}  // namespace

const LimitNames& limit_names(CounterKind kind) {
  return kind == CounterKind::key ? kKeyNames : kWalletNames;
}

void Headroom::consider(Nanos other, Limit name) {
  if (other < nanos) {
    nanos = other;
    limit = name;
  }
}

void roll(CounterRecord& counters, WindowIds now) {
  if (now.day > counters.windows.day) {
    counters.windows.day = now.day;
    counters.day = {};
  }
  if (now.month > counters.windows.month) {
    counters.windows.month = now.month;
    counters.month = {};
  }
}

void consider_budgets(const CounterRecord& counters, Headroom& headroom) {
  const LimitNames& names = limit_names(counters.kind);
  const Limits& limits = counters.limits;
  if (limits.budget_total != kNoBudget) {
    headroom.consider(left_of(limits.budget_total, counters.total), names.total);
  }
  if (limits.budget_day != kNoBudget) {
    headroom.consider(left_of(limits.budget_day, counters.day), names.day);
  }
  if (limits.budget_month != kNoBudget) {
    headroom.consider(left_of(limits.budget_month, counters.month), names.month);
  }
}

Nanos spendable(const WalletRecord& wallet) {
  return add_to_most(wallet.available, wallet.overdraft_limit);
}

RateDecision take_request(CounterRecord& counters, TimeNs now_ns) {
  const Limits& limits = counters.limits;
  if (limits.requests_per_minute == 0) return {};
  const Bucket bucket = take(counters.requests_tat_ns, now_ns, request_cost(limits),
                             scaled_minute(request_burst(limits), limits.requests_per_minute));
  if (bucket.wait_ns > 0) return {limit_names(counters.kind).requests, bucket.wait_ns};
  counters.requests_tat_ns = bucket.tat;
  return {};
}

RateDecision take_rates(CounterRecord& counters, Tokens rate_tokens, TimeNs now_ns) {
  const LimitNames& names = limit_names(counters.kind);
  const Limits& limits = counters.limits;
  if (limits.in_flight != 0 && counters.in_flight >= limits.in_flight) return {names.in_flight, 0};
  const TimeNs requests_tat = counters.requests_tat_ns;
  if (const RateDecision request = take_request(counters, now_ns); request.limit != Limit::none)
    return request;
  TimeNs tokens_tat = counters.tokens_tat_ns;
  if (limits.tokens_per_minute != 0 && rate_tokens > 0) {
    const TimeNs cost =
        scaled_minute(static_cast<std::uint64_t>(rate_tokens), limits.tokens_per_minute);
    const Bucket bucket = take(tokens_tat, now_ns, cost, kMinute);
    if (bucket.wait_ns > 0) {
      counters.requests_tat_ns = requests_tat;
      return {names.tokens, bucket.wait_ns};
    }
    tokens_tat = bucket.tat;
  }
  counters.tokens_tat_ns = tokens_tat;
  return {};
}

void show_rates(const CounterRecord& counters, TimeNs now_ns, RateView& view) {
  const Limits& limits = counters.limits;
  if (limits.requests_per_minute != 0) {
    const TimeNs cost_ns = std::max<TimeNs>(request_cost(limits), 1);
    const TimeNs depth_ns = scaled_minute(request_burst(limits), limits.requests_per_minute);
    const TimeNs debt_ns = std::max<TimeNs>(counters.requests_tat_ns - now_ns, 0);
    const auto left = static_cast<std::uint64_t>(std::max<TimeNs>(depth_ns - debt_ns, 0) / cost_ns);
    keep_less(view.requests, {limits.requests_per_minute, left, debt_ns});
  }
  if (limits.tokens_per_minute != 0) {
    __extension__ using Wide = unsigned __int128;
    const TimeNs debt_ns = std::max<TimeNs>(counters.tokens_tat_ns - now_ns, 0);
    const auto left_ns = static_cast<std::uint64_t>(std::max<TimeNs>(kMinute - debt_ns, 0));
    const auto left = static_cast<std::uint64_t>(Wide{limits.tokens_per_minute} * left_ns /
                                                 static_cast<std::uint64_t>(kMinute));
    keep_less(view.tokens, {limits.tokens_per_minute, left, debt_ns});
  }
}

void correct_tokens(CounterRecord& counters, Tokens reserved, Tokens used, TimeNs now_ns,
                    TimeNs held_ns) {
  const std::uint64_t limit = counters.limits.tokens_per_minute;
  if (limit == 0 || used == reserved) return;
  TimeNs& tat = counters.tokens_tat_ns;
  if (used > reserved) {
    const TimeNs cost_ns = scaled_minute(static_cast<std::uint64_t>(used - reserved), limit);
    tat = add_to_most(std::max(tat, now_ns), cost_ns);
  } else if (held_ns >= 0) {
    // Giving back what has flowed in meanwhile would give it twice.
    const TimeNs cost_ns = scaled_minute(static_cast<std::uint64_t>(reserved - used), limit);
    shrink(tat, std::max<TimeNs>(cost_ns - held_ns, 0));
  }
}

void add_reserved(CounterRecord& counters, const WindowIds& hold, Nanos amount) {
  counters.total.reserved = add_to_most(counters.total.reserved, amount);
  if (hold.day == counters.windows.day) {
    counters.day.reserved = add_to_most(counters.day.reserved, amount);
  }
  if (hold.month == counters.windows.month) {
    counters.month.reserved = add_to_most(counters.month.reserved, amount);
  }
}

void close_reserved(CounterRecord& counters, const WindowIds& hold, Nanos reserved, Nanos spent) {
  const auto close = [&](Window& window) {
    shrink(window.reserved, reserved);
    window.spent = add_to_most(window.spent, spent);
  };
  close(counters.total);
  if (hold.day == counters.windows.day) close(counters.day);
  if (hold.month == counters.windows.month) close(counters.month);
}

}  // namespace sluice::state
