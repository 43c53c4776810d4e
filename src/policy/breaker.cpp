#include "sluice/policy/breaker.hpp"

#include <algorithm>

namespace sluice::policy {
namespace {

using state::BreakerPhase;
using state::BreakerWord;
using state::FaultWindow;
using state::HealthEntry;

// A fault of a provider's passes soon; an empty account or a revoked key stays so until somebody
// acts.
constexpr TimeNs kChannelRestNs = kSecond;
constexpr TimeNs kRateRestNs = 2 * kSecond;
constexpr TimeNs kKeyRestNs = 60 * kSecond;
constexpr TimeNs kLongestRestNs = 60 * kSecond;
constexpr TimeNs kLongestKeyRestNs = 3600 * kSecond;

std::int64_t to_ms(TimeNs at_ns) { return at_ns / kMillisecond; }

/// Applies `next` to a packed word until nobody else has changed it meanwhile. Returns the word
/// before and after.
template <class Next>
std::pair<BreakerWord, BreakerWord> update(std::atomic<std::uint64_t>& cell, Next next) {
  std::uint64_t bits = cell.load(std::memory_order_acquire);
  for (;;) {
    const BreakerWord before = state::unpack_breaker(bits);
    const BreakerWord after = next(before);
    if (after == before) return {before, after};
    if (cell.compare_exchange_weak(bits, state::pack(after), std::memory_order_acq_rel)) {
      return {before, after};
    }
  }
}

FaultWindow add_to_window(HealthEntry& entry, std::uint32_t attempts, std::uint32_t faults,
                          TimeNs now_ns, const BreakerRules& rules) {
  const auto number = static_cast<std::uint32_t>(now_ns / rules.window_ns) & 0xFF'FFFFU;
  std::uint64_t bits = entry.window.load(std::memory_order_relaxed);
  for (;;) {
    FaultWindow window = state::unpack_window(bits);
    if (window.number != number) window = {number, 0, 0};
    window.attempts = std::min(window.attempts + attempts, state::kMostInWindow);
    window.faults = std::min(window.faults + faults, state::kMostInWindow);
    if (entry.window.compare_exchange_weak(bits, state::pack(window), std::memory_order_relaxed)) {
      return window;
    }
  }
}

bool is_due(const BreakerWord& word, TimeNs now_ns) { return to_ms(now_ns) >= word.until_ms; }

}  // namespace

bool is_of_key(Fault fault) {
  return fault == Fault::rate || fault == Fault::key_bad || fault == Fault::no_money;
}

Fault fault_of(dialect::ErrorClass error_class, int status) {
  switch (error_class) {
    case dialect::ErrorClass::key_bad:
      return Fault::key_bad;
    case dialect::ErrorClass::no_money:
      return Fault::no_money;
    case dialect::ErrorClass::rate:
      return Fault::rate;
    case dialect::ErrorClass::overloaded:
      return Fault::overloaded;
    case dialect::ErrorClass::caller:
      return Fault::none;
    case dialect::ErrorClass::unknown:
      break;
  }
  return status >= 500 ? Fault::overloaded : Fault::none;
}

TimeNs back_off(Fault cause, unsigned trips) {
  const bool stays = cause == Fault::key_bad || cause == Fault::no_money;
  const TimeNs first = stays ? kKeyRestNs : cause == Fault::rate ? kRateRestNs : kChannelRestNs;
  const TimeNs most = stays ? kLongestKeyRestNs : kLongestRestNs;
  return std::min(first << std::min(trips, 12U), most);
}

BreakerWord after_fault(const BreakerWord& word, Fault fault, TimeNs now_ns, TimeNs retry_after_ns,
                        bool many, const BreakerRules& rules) {
  BreakerWord next = word;
  const TimeNs asked_ns = std::min(retry_after_ns, rules.retry_after_most_ns);
  if (word.phase == BreakerPhase::open) {
    // One that was under way when it opened: only a longer rest that was asked for is news.
    if (asked_ns > 0) next.until_ms = std::max(word.until_ms, to_ms(now_ns + asked_ns));
    return next;
  }
  next.in_a_row = static_cast<std::uint8_t>(std::min(word.in_a_row + 1, 255));
  const bool opens = word.phase == BreakerPhase::probing || is_of_key(fault) || asked_ns > 0 ||
                     many || next.in_a_row >= rules.faults_in_a_row;
  if (!opens) return next;
  const bool rested =
      word.phase == BreakerPhase::closed && to_ms(now_ns) - word.until_ms > to_ms(rules.rest_ns);
  if (rested) next.trips = 0;
  const TimeNs rest_ns = std::max(back_off(fault, next.trips), asked_ns);
  next.phase = BreakerPhase::open;
  next.cause = static_cast<std::uint8_t>(fault);
  next.trips = static_cast<std::uint8_t>(std::min(next.trips + 1, 63));
  next.until_ms = to_ms(now_ns + rest_ns);
  return next;
}

BreakerWord after_success(const BreakerWord& word, TimeNs now_ns) {
  BreakerWord next = word;
  // One that was under way when it opened says nothing of now.
  if (word.phase == BreakerPhase::open) return next;
  next.in_a_row = 0;
  if (word.phase == BreakerPhase::probing) {
    next.phase = BreakerPhase::closed;
    next.until_ms = to_ms(now_ns);
  }
  return next;
}

bool may_use(const BreakerWord& word, TimeNs now_ns) {
  return word.phase == BreakerPhase::closed || is_due(word, now_ns);
}

bool may_use(const HealthEntry* entry, TimeNs now_ns) {
  return entry == nullptr ||
         may_use(state::unpack_breaker(entry->breaker.load(std::memory_order_acquire)), now_ns);
}

TimeNs closed_until_ns(const HealthEntry* entry) {
  if (entry == nullptr) return 0;
  const BreakerWord word = state::unpack_breaker(entry->breaker.load(std::memory_order_acquire));
  return word.phase == BreakerPhase::closed ? 0 : word.until_ms * kMillisecond;
}

bool take(HealthEntry* entry, TimeNs now_ns, bool last_way, const BreakerRules& rules) {
  if (entry == nullptr) return true;
  const auto [before, after] = update(entry->breaker, [&](BreakerWord word) {
    const bool due = is_due(word, now_ns) || (last_way && word.phase == BreakerPhase::open);
    if (word.phase == BreakerPhase::closed || !due) return word;
    word.phase = BreakerPhase::probing;
    word.until_ms = to_ms(now_ns + rules.probe_lease_ns);
    return word;
  });
  return last_way || before.phase == BreakerPhase::closed || before != after;
}

void release(HealthEntry* entry, TimeNs now_ns) {
  if (entry == nullptr) return;
  update(entry->breaker, [&](BreakerWord word) {
    if (word.phase != BreakerPhase::probing) return word;
    word.phase = BreakerPhase::open;
    word.until_ms = to_ms(now_ns);
    return word;
  });
}

bool note_fault(HealthEntry* entry, Fault fault, TimeNs now_ns, TimeNs retry_after_ns,
                const BreakerRules& rules) {
  if (entry == nullptr) return false;
  entry->faults.fetch_add(1, std::memory_order_relaxed);
  const FaultWindow window = add_to_window(*entry, 1, 1, now_ns, rules);
  const bool many =
      window.attempts >= rules.window_attempts &&
      std::uint64_t{window.faults} * 100 >= std::uint64_t{window.attempts} * rules.window_percent;
  const auto [before, after] = update(entry->breaker, [&](const BreakerWord& word) {
    return after_fault(word, fault, now_ns, retry_after_ns, many, rules);
  });
  const bool opened = before.phase != BreakerPhase::open && after.phase == BreakerPhase::open;
  if (opened) entry->ejections.fetch_add(1, std::memory_order_relaxed);
  return opened;
}

void note_success(HealthEntry* entry, TimeNs now_ns) {
  if (entry == nullptr) return;
  // Nearly always it is closed and without a fault: then nothing is written.
  update(entry->breaker, [&](const BreakerWord& word) { return after_success(word, now_ns); });
}

void add_attempts(HealthEntry& entry, std::uint32_t attempts, TimeNs now_ns,
                  const BreakerRules& rules) {
  entry.successes.fetch_add(attempts, std::memory_order_relaxed);
  add_to_window(entry, attempts, 0, now_ns, rules);
}

void add_first_tokens(HealthEntry& entry, std::uint32_t samples, std::uint32_t mean_us) {
  const std::uint32_t before = entry.first_token_us.load(std::memory_order_relaxed);
  // Each sample weighs an eighth of what is left; eight together are as good as all that was.
  const std::uint64_t weight = std::min(samples, 8U);
  const std::uint64_t now =
      before == 0 ? mean_us : (before * (8 - weight) + std::uint64_t{mean_us} * weight) / 8;
  entry.first_token_us.store(static_cast<std::uint32_t>(std::max<std::uint64_t>(now, 1)),
                             std::memory_order_relaxed);
}

}  // namespace sluice::policy
