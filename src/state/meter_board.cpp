#include <algorithm>
#include <limits>

#include "sluice/base/assert.hpp"
#include "sluice/state/boards.hpp"

namespace sluice::state {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::uint32_t to_cell(Tokens tokens) {
  return static_cast<std::uint32_t>(std::clamp<Tokens>(tokens, 0, price::kMaxTokens));
}

/// phase | usage state << 8 | attempt << 16.
std::uint32_t pack(price::Phase phase, price::UsageState usage, std::uint32_t attempt) {
  return static_cast<std::uint32_t>(phase) | static_cast<std::uint32_t>(usage) << 8 | attempt << 16;
}
std::uint32_t phase_of(std::uint32_t progress) { return progress & 0xFF; }
std::uint32_t usage_of(std::uint32_t progress) { return progress >> 8 & 0xFF; }
std::uint32_t attempt_of(std::uint32_t progress) { return progress >> 16; }

void clear_counts(MeterEntry& entry) {
  entry.counted_output.store(0, kRelaxed);
  for (auto& cell : entry.usage) cell.store(0, kRelaxed);
  entry.reasoning.store(0, kRelaxed);
  for (auto& cell : entry.calls) cell.store(0, kRelaxed);
}

/// Copies an entry out and checks what a byte flipped by somebody else could break. Nothing when it
/// is free or does not make sense.
std::optional<MeterView> view_of(const MeterEntry& entry) {
  MeterView view;
  view.hold_seq = entry.hold_seq.load(std::memory_order_acquire);
  if (view.hold_seq == 0) return std::nullopt;
  const std::uint32_t progress = entry.progress.load(std::memory_order_acquire);
  if (phase_of(progress) > static_cast<std::uint32_t>(price::Phase::final) ||
      usage_of(progress) > static_cast<std::uint32_t>(price::UsageState::final)) {
    return std::nullopt;
  }
  view.phase = static_cast<price::Phase>(phase_of(progress));
  view.metered.usage_state = static_cast<price::UsageState>(usage_of(progress));
  view.attempt = static_cast<std::uint16_t>(attempt_of(progress));
  view.channel_id = entry.channel_id.load(kRelaxed);
  view.metered.input_estimate = entry.input_estimate.load(kRelaxed);
  view.metered.counted_output = entry.counted_output.load(kRelaxed);
  price::TokenCounts& usage = view.metered.usage;
  usage.input = entry.usage[0].load(kRelaxed);
  usage.cache_read = entry.usage[1].load(kRelaxed);
  usage.cache_write_short = entry.usage[2].load(kRelaxed);
  usage.cache_write_long = entry.usage[3].load(kRelaxed);
  usage.output = entry.usage[4].load(kRelaxed);
  usage.reasoning = entry.reasoning.load(kRelaxed);
  for (std::size_t i = 0; i < price::kFees; ++i) usage.calls[i] = entry.calls[i].load(kRelaxed);
  // Counts out of range stay as they are: price::charge clamps and flags them.
  return view;
}

}  // namespace

void MeterBoard::open(std::uint32_t index, std::uint64_t hold_seq, Tokens input_estimate) {
  SLUICE_ASSERT(index < entries_.size());
  MeterEntry& entry = entries_[index];
  entry.hold_seq.store(0, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);  // free before it changes
  clear_counts(entry);
  entry.channel_id.store(0, kRelaxed);
  entry.input_estimate.store(to_cell(input_estimate), kRelaxed);
  entry.progress.store(pack(price::Phase::reserved, price::UsageState::none, 0), kRelaxed);
  entry.hold_seq.store(hold_seq, std::memory_order_release);
}

void MeterBoard::next_attempt(std::uint32_t index, std::uint32_t channel_id) {
  SLUICE_ASSERT(index < entries_.size());
  MeterEntry& entry = entries_[index];
  const std::uint32_t attempt = std::min(attempt_of(entry.progress.load(kRelaxed)) + 1, 0xFFFFU);
  // RESERVED first: a death between the stores then voids instead of charging counts of the old
  // attempt.
  entry.progress.store(pack(price::Phase::reserved, price::UsageState::none, attempt), kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
  clear_counts(entry);
  entry.channel_id.store(channel_id, kRelaxed);
}

void MeterBoard::set_phase(std::uint32_t index, price::Phase phase) {
  SLUICE_ASSERT(index < entries_.size());
  MeterEntry& entry = entries_[index];
  const std::uint32_t progress = entry.progress.load(kRelaxed);
  if (static_cast<std::uint32_t>(phase) <= phase_of(progress)) return;
  entry.progress.store((progress & ~0xFFU) | static_cast<std::uint32_t>(phase),
                       std::memory_order_release);
}

void MeterBoard::set_input_estimate(std::uint32_t index, Tokens tokens) {
  SLUICE_ASSERT(index < entries_.size());
  entries_[index].input_estimate.store(to_cell(tokens), kRelaxed);
}

void MeterBoard::set_counted_output(std::uint32_t index, Tokens tokens) {
  SLUICE_ASSERT(index < entries_.size());
  entries_[index].counted_output.store(to_cell(tokens), kRelaxed);
}

void MeterBoard::set_usage(std::uint32_t index, price::UsageState state,
                           const price::TokenCounts& counts) {
  SLUICE_ASSERT(index < entries_.size());
  MeterEntry& entry = entries_[index];
  entry.usage[0].store(to_cell(counts.input), kRelaxed);
  entry.usage[1].store(to_cell(counts.cache_read), kRelaxed);
  entry.usage[2].store(to_cell(counts.cache_write_short), kRelaxed);
  entry.usage[3].store(to_cell(counts.cache_write_long), kRelaxed);
  entry.usage[4].store(to_cell(counts.output), kRelaxed);
  entry.reasoning.store(to_cell(counts.reasoning), kRelaxed);
  for (std::size_t i = 0; i < price::kFees; ++i) {
    entry.calls[i].store(
        static_cast<std::uint16_t>(std::min<std::uint32_t>(counts.calls[i], 0xFFFF)), kRelaxed);
  }
  const std::uint32_t progress = entry.progress.load(kRelaxed);
  std::uint32_t phase = phase_of(progress);
  if (state == price::UsageState::final) phase = static_cast<std::uint32_t>(price::Phase::final);
  entry.progress.store(pack(static_cast<price::Phase>(phase), state, attempt_of(progress)),
                       std::memory_order_release);
}

void MeterBoard::close(std::uint32_t index) {
  SLUICE_ASSERT(index < entries_.size());
  entries_[index].hold_seq.store(0, std::memory_order_release);
}

void MeterBoard::clear_all() {
  for (MeterEntry& entry : entries_) {
    // Reads before it writes: an unused board's pages stay untouched.
    if (entry.hold_seq.load(kRelaxed) != 0) entry.hold_seq.store(0, kRelaxed);
  }
}

std::optional<MeterView> MeterBoard::read(std::uint32_t index) const {
  return index < entries_.size() ? view_of(entries_[index]) : std::nullopt;
}

std::uint64_t MeterBoard::hold_at(std::uint32_t index) const {
  return index < entries_.size() ? entries_[index].hold_seq.load(std::memory_order_acquire) : 0;
}

std::optional<MeterView> MeterBoard::find(std::uint64_t hold_seq) const {
  if (hold_seq == 0) return std::nullopt;
  for (const MeterEntry& entry : entries_) {
    if (entry.hold_seq.load(kRelaxed) == hold_seq) return view_of(entry);
  }
  return std::nullopt;
}

}  // namespace sluice::state
