#include "sluice/relay/health.hpp"

#include <algorithm>

namespace sluice::relay {

Health::Health(std::span<state::HealthEntry> board) : board_(board), local_(board.size()) {
  dirty_.reserve(board.size());
}

void Health::note_success(state::HealthEntry* entry, TimeNs now_ns, TimeNs first_token_ns) {
  if (entry == nullptr) return;
  policy::note_success(entry, now_ns);
  const auto index = static_cast<std::uint32_t>(entry - board_.data());
  Local& local = local_[index];
  if (local.attempts == 0) dirty_.push_back(index);
  ++local.attempts;
  if (first_token_ns <= 0) return;
  ++local.first_tokens;
  local.first_token_sum_us += static_cast<std::uint64_t>(first_token_ns / kMicrosecond);
}

bool Health::note_fault(state::HealthEntry* entry, policy::Fault fault, TimeNs now_ns,
                        TimeNs retry_after_ns) {
  if (entry == nullptr) return false;
  // What went well before it belongs to the same window.
  publish(*entry, local_[static_cast<std::size_t>(entry - board_.data())], now_ns);
  return policy::note_fault(entry, fault, now_ns, retry_after_ns);
}

void Health::publish(state::HealthEntry& entry, Local& local, TimeNs now_ns) {
  if (local.attempts > local.published) {
    policy::add_attempts(entry, local.attempts - local.published, now_ns);
    local.published = local.attempts;
  }
  if (local.first_tokens == 0) return;
  policy::add_first_tokens(entry, local.first_tokens,
                           static_cast<std::uint32_t>(std::min<std::uint64_t>(
                               local.first_token_sum_us / local.first_tokens, UINT32_MAX)));
  local.first_tokens = 0;
  local.first_token_sum_us = 0;
}

void Health::flush(TimeNs now_ns) {
  for (const std::uint32_t index : dirty_) {
    publish(board_[index], local_[index], now_ns);
    local_[index] = {};
  }
  dirty_.clear();
}

}  // namespace sluice::relay
