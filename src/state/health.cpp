#include "sluice/state/health.hpp"

#include <algorithm>

namespace sluice::state {
namespace {

constexpr unsigned kUntilBits = 44;  // milliseconds: 557 years
constexpr std::uint64_t kUntilMask = (std::uint64_t{1} << kUntilBits) - 1;

std::uint64_t subject_of(HealthKind kind, std::uint32_t id) {
  return static_cast<std::uint64_t>(kind) << 32U | id;
}

/// Where the entries of a subject are looked for from.
std::uint64_t start_of(std::uint64_t subject) { return subject * 0x9e37'79b9'7f4a'7c15U >> 32U; }

}  // namespace

std::uint64_t pack(const BreakerWord& word) {
  const auto until =
      static_cast<std::uint64_t>(std::clamp<std::int64_t>(word.until_ms, 0, kUntilMask));
  return until | (std::uint64_t{word.trips} & 63U) << kUntilBits |
         std::uint64_t{word.in_a_row} << 50U | (std::uint64_t{word.cause} & 15U) << 58U |
         (static_cast<std::uint64_t>(word.phase) & 3U) << 62U;
}

BreakerWord unpack_breaker(std::uint64_t bits) {
  BreakerWord word;
  word.until_ms = static_cast<std::int64_t>(bits & kUntilMask);
  word.trips = static_cast<std::uint8_t>(bits >> kUntilBits & 63U);
  word.in_a_row = static_cast<std::uint8_t>(bits >> 50U & 255U);
  word.cause = static_cast<std::uint8_t>(bits >> 58U & 15U);
  // A number that is no phase (another process wrote nonsense) counts as closed.
  const auto phase = static_cast<std::uint8_t>(bits >> 62U);
  word.phase = phase <= 2 ? static_cast<BreakerPhase>(phase) : BreakerPhase::closed;
  return word;
}

std::uint64_t pack(const FaultWindow& window) {
  const std::uint64_t attempts = std::min(window.attempts, kMostInWindow);
  const std::uint64_t faults = std::min(window.faults, kMostInWindow);
  return std::uint64_t{window.number & 0xFF'FFFFU} << 40U | attempts << 20U | faults;
}

FaultWindow unpack_window(std::uint64_t bits) {
  return {static_cast<std::uint32_t>(bits >> 40U),
          static_cast<std::uint32_t>(bits >> 20U) & kMostInWindow,
          static_cast<std::uint32_t>(bits) & kMostInWindow};
}

HealthEntry* health_of(std::span<HealthEntry> entries, HealthKind kind, std::uint32_t id) {
  const std::uint64_t subject = subject_of(kind, id);
  const std::uint64_t start = start_of(subject);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    HealthEntry& entry = entries[(start + i) % entries.size()];
    std::uint64_t taken = entry.subject.load(std::memory_order_acquire);
    if (taken == 0 &&
        entry.subject.compare_exchange_strong(taken, subject, std::memory_order_acq_rel)) {
      return &entry;
    }
    if (taken == subject) return &entry;
  }
  return nullptr;
}

const HealthEntry* find_health(std::span<const HealthEntry> entries, HealthKind kind,
                               std::uint32_t id) {
  const std::uint64_t subject = subject_of(kind, id);
  const std::uint64_t start = start_of(subject);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const HealthEntry& entry = entries[(start + i) % entries.size()];
    const std::uint64_t taken = entry.subject.load(std::memory_order_acquire);
    if (taken == subject) return &entry;
    if (taken == 0) break;  // entries are never given back
  }
  return nullptr;
}

}  // namespace sluice::state
