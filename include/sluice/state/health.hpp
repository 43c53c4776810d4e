// The health board: what all shards know of each channel and each provider key. One cache line a
// subject; every word is changed by compare-and-swap, so that any shard may write and a shard that
// dies leaves nothing half written. What the words mean for a request is decided in `policy`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/base/units.hpp"

namespace sluice::state {

enum class HealthKind : std::uint32_t { channel = 1, provider_key = 2 };

enum class BreakerPhase : std::uint8_t {
  closed = 0,   ///< in use
  open = 1,     ///< not used before `until_ms`
  probing = 2,  ///< one request tries it; at `until_ms` another one may
};

/// A breaker's state: 64 bits that change as one.
struct BreakerWord {
  BreakerPhase phase = BreakerPhase::closed;
  std::uint8_t cause = 0;     ///< state::Fault that opened it last, 0 to 15
  std::uint8_t in_a_row = 0;  ///< faults since the last success
  std::uint8_t trips = 0;     ///< how often it opened without a long rest between, 0 to 63
  std::int64_t until_ms = 0;  ///< monotonic; closed: when it was last closed
  friend bool operator==(const BreakerWord&, const BreakerWord&) = default;
};
[[nodiscard]] std::uint64_t pack(const BreakerWord& word);
[[nodiscard]] BreakerWord unpack_breaker(std::uint64_t bits);

/// Attempts and faults of one stretch of time.
struct FaultWindow {
  std::uint32_t number = 0;    ///< of the stretch, 24 bits
  std::uint32_t attempts = 0;  ///< at most 2^20 - 1, as the next
  std::uint32_t faults = 0;
  friend bool operator==(const FaultWindow&, const FaultWindow&) = default;
};
inline constexpr std::uint32_t kMostInWindow = (1U << 20U) - 1;
[[nodiscard]] std::uint64_t pack(const FaultWindow& window);
[[nodiscard]] FaultWindow unpack_window(std::uint64_t bits);

struct alignas(64) HealthEntry {
  std::atomic<std::uint64_t> subject{0};         ///< kind << 32 | id; 0 = free
  std::atomic<std::uint64_t> breaker{0};         ///< BreakerWord
  std::atomic<std::uint64_t> window{0};          ///< FaultWindow
  std::atomic<std::uint32_t> first_token_us{0};  ///< moving average; 0 = not known
  std::atomic<std::uint32_t> ejections{0};       ///< how often the breaker opened
  std::atomic<std::uint64_t> successes{0};
  std::atomic<std::uint64_t> faults{0};
  std::atomic<std::int64_t> probed_ns{0};  ///< monotonic time of the last active probe; 0 = none
  std::atomic<std::uint32_t> probes{0};
  std::atomic<std::uint32_t> probes_failed{0};

  [[nodiscard]] HealthKind kind() const {
    return static_cast<HealthKind>(subject.load(std::memory_order_relaxed) >> 32U);
  }
  [[nodiscard]] std::uint32_t id() const {
    return static_cast<std::uint32_t>(subject.load(std::memory_order_relaxed));
  }
};
static_assert(sizeof(HealthEntry) == 64);

inline constexpr std::size_t kHealthEntries = 4096;

/// The entry of a channel or provider key (`id` > 0), taken at first use; ids are never reused, and
/// an entry stays its subject's for the epoch. Null when all are taken: such a subject has no
/// memory of faults. Does not allocate; any process, any time.
[[nodiscard]] HealthEntry* health_of(std::span<HealthEntry> entries, HealthKind kind,
                                     std::uint32_t id);
/// The same for who only looks: null where nobody has taken one yet.
[[nodiscard]] const HealthEntry* find_health(std::span<const HealthEntry> entries, HealthKind kind,
                                             std::uint32_t id);

}  // namespace sluice::state
