#include "channel_watch.hpp"

#include "sluice/state/routing.hpp"

namespace sluice::reconcile {
namespace {

using state::BreakerPhase;
using state::HealthEntry;
using state::HealthKind;

state::BreakerWord word_of(const HealthEntry& entry) {
  return state::unpack_breaker(entry.breaker.load(std::memory_order_acquire));
}

/// The board of a new epoch remembers nothing: silence does not say that a channel is back.
bool has_served(const HealthEntry& entry) {
  return entry.successes.load(std::memory_order_relaxed) > 0 ||
         entry.probes.load(std::memory_order_relaxed) >
             entry.probes_failed.load(std::memory_order_relaxed);
}

}  // namespace

Result<> ChannelWatch::load_told() {
  if (loaded_) return {};
  const auto latest = ledger_.notices().latest(ledger::NoticeKind::channel_down);
  if (!latest) return std::unexpected(latest.error());
  for (const ledger::LatestNotice& notice : *latest) {
    seen_[notice.subject_id] = {.told_down = notice.stands, .last_down_ns = notice.at_ns};
  }
  loaded_ = true;
  return {};
}

// Down: its breaker has opened, or those of all keys that it could use have.
ChannelWatch::Condition ChannelWatch::condition_of(const state::Catalog& catalog,
                                                   const state::ChannelEntry& channel,
                                                   state::Fault& cause) const {
  const HealthEntry* entry = state::find_health(board_, HealthKind::channel, channel.id);
  if (entry == nullptr) return Condition::unknown;
  if (const state::BreakerWord word = word_of(*entry); word.phase != BreakerPhase::closed) {
    cause = static_cast<state::Fault>(word.cause);
    return Condition::down;
  }
  bool any_key = channel.auth == state::Auth::none;
  for (const state::ChannelKeyEntry& key : catalog.keys(channel)) {
    if (any_key) break;
    if (key.enabled == 0) continue;
    const HealthEntry* of_key = state::find_health(board_, HealthKind::provider_key, key.id);
    const state::BreakerWord word = of_key != nullptr ? word_of(*of_key) : state::BreakerWord{};
    any_key = word.phase == BreakerPhase::closed;
    if (!any_key) cause = static_cast<state::Fault>(word.cause);
  }
  if (!any_key) return cause != state::Fault::none ? Condition::down : Condition::unknown;
  return has_served(*entry) ? Condition::up : Condition::unknown;
}

bool ChannelWatch::is_due(const Seen& seen) const {
  if (seen.condition == Condition::unknown) return false;
  if (clock_.monotonic_ns() - seen.since_ns < rules_.lasts_ns) return false;
  const bool down = seen.condition == Condition::down;
  if (down == seen.told_down) return false;
  return !down || seen.last_down_ns == 0 ||
         clock_.realtime_ns() - seen.last_down_ns >= rules_.pause_ns;
}

Result<bool> ChannelWatch::step(const state::Catalog& catalog) {
  if (auto loaded = load_told(); !loaded) return std::unexpected(loaded.error());
  bool raised = false;
  for (const state::ChannelEntry& channel : catalog.channels()) {
    if ((channel.flags & state::kChannelEnabled) == 0) continue;
    Seen& seen = seen_[channel.id];
    state::Fault cause = state::Fault::none;
    const Condition condition = condition_of(catalog, channel, cause);
    if (condition != seen.condition) {
      seen.condition = condition;
      seen.since_ns = clock_.monotonic_ns();
    }
    if (!is_due(seen)) continue;
    const bool down = condition == Condition::down;
    const auto told = notices_.tell_channel(down, channel.id, catalog.text(channel.name),
                                            down ? to_string(cause) : "");
    if (!told) return told;
    raised |= *told;
    seen.told_down = down;
    if (down) seen.last_down_ns = clock_.realtime_ns();
  }
  return raised;
}

}  // namespace sluice::reconcile
