// When a channel or a provider key is left alone after faults, and when it is tried again. The
// rules are pure functions over a breaker's word; the calls on an entry apply them to the health
// board, where every shard sees the result at once.
#pragma once

#include <cstdint>

#include "sluice/base/units.hpp"
#include "sluice/dialect/error_body.hpp"
#include "sluice/state/health.hpp"
#include "sluice/state/routing.hpp"

namespace sluice::policy {

using state::Fault;

/// Whether it is the provider key that is at fault, and not the channel.
[[nodiscard]] bool is_of_key(Fault fault);
/// The fault that an answered error is. `status` decides only where the class says nothing.
[[nodiscard]] Fault fault_of(dialect::ErrorClass error_class, int status);

struct BreakerRules {
  std::uint8_t faults_in_a_row = 5;      ///< of a channel: opens
  TimeNs window_ns = 10 * kSecond;       ///< or when in such a stretch …
  std::uint32_t window_attempts = 20;    ///< … of at least so many attempts …
  std::uint32_t window_percent = 50;     ///< … so many went wrong
  TimeNs probe_lease_ns = 30 * kSecond;  ///< a probe that says nothing for so long is forgotten
  TimeNs rest_ns = 300 * kSecond;  ///< closed for so long, earlier openings do not count any more
  TimeNs retry_after_most_ns = 3600 * kSecond;
};

/// How long a breaker stays open after `trips` openings before this one: doubles each time.
[[nodiscard]] TimeNs back_off(Fault cause, unsigned trips);

/// After a fault. `retry_after_ns`: how long the provider asked to be left alone, 0 = it did not;
/// `many`: the window says that too much goes wrong.
[[nodiscard]] state::BreakerWord after_fault(const state::BreakerWord& word, Fault fault,
                                             TimeNs now_ns, TimeNs retry_after_ns, bool many,
                                             const BreakerRules& rules = {});
[[nodiscard]] state::BreakerWord after_success(const state::BreakerWord& word, TimeNs now_ns);
/// Whether it may be used: closed, or it is time to probe.
[[nodiscard]] bool may_use(const state::BreakerWord& word, TimeNs now_ns);

// On entries; null = no memory of it: always in use.
[[nodiscard]] bool may_use(const state::HealthEntry* entry, TimeNs now_ns);
/// When it is tried again (monotonic), 0 = now.
[[nodiscard]] TimeNs closed_until_ns(const state::HealthEntry* entry);
/// Takes it for one attempt. True where it is closed, or where this attempt is now the probe;
/// `last_way`: also before its time, for what has nowhere else to go.
[[nodiscard]] bool take(state::HealthEntry* entry, TimeNs now_ns, bool last_way,
                        const BreakerRules& rules = {});
/// The attempt that took it ended without saying anything about it: another may probe now.
void release(state::HealthEntry* entry, TimeNs now_ns);
/// True when this fault has opened the breaker.
bool note_fault(state::HealthEntry* entry, Fault fault, TimeNs now_ns, TimeNs retry_after_ns = 0,
                const BreakerRules& rules = {});
void note_success(state::HealthEntry* entry, TimeNs now_ns);
/// Adds attempts that went well to the window, from time to time.
void add_attempts(state::HealthEntry& entry, std::uint32_t attempts, TimeNs now_ns,
                  const BreakerRules& rules = {});
/// Moves the average of the time to the first token by `samples` of mean `mean_us`.
void add_first_tokens(state::HealthEntry& entry, std::uint32_t samples, std::uint32_t mean_us);

}  // namespace sluice::policy
