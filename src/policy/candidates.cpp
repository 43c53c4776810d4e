#include "sluice/policy/candidates.hpp"

#include <algorithm>
#include <cmath>

namespace sluice::policy {
namespace {

// SplitMix64's finaliser (Steele, Lea, Flood 2014): every bit of the input moves every bit of the
// output.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ value >> 30U) * 0xbf58'476d'1ce4'e5b9U;
  value = (value ^ value >> 27U) * 0x94d0'49bb'1331'11ebU;
  return value ^ value >> 31U;
}

std::uint64_t mix(std::uint64_t seed, std::uint64_t id) {
  return mix(seed ^ mix(id + 0x9e37'79b9'7f4a'7c15U));
}

/// Weighted rendezvous: the smallest wins, each with the probability of its share of the weights,
/// and where one goes only its own sessions move.
double draw(std::uint64_t seed, std::uint64_t id, std::uint32_t weight) {
  const double unit = (static_cast<double>(mix(seed, id) >> 11U) + 1) * 0x1.0p-53;
  return -std::log(unit) / std::max(weight, 1U);
}

bool key_exists(const ChoiceInput& input, const state::ChannelKeyEntry& key, std::size_t index) {
  return key.enabled != 0 &&
         (index >= input.opened_keys.size() || !input.opened_keys[index].empty());
}

enum class KeyState : std::uint8_t { none, cooling, usable };

/// The best that any key of the channel offers; `until_ns`: when the first that cools is tried
/// again.
KeyState key_state(const ChoiceInput& input, const state::ChannelEntry& channel, TimeNs& until_ns) {
  if (channel.auth == state::Auth::none) return KeyState::usable;
  const auto keys = input.catalog.keys(channel);
  KeyState best = KeyState::none;
  TimeNs soonest_ns = INT64_MAX;
  for (std::size_t i = 0; i < keys.size() && i < kMaxChannelKeys; ++i) {
    if (!key_exists(input, keys[i], channel.first_key + i)) continue;
    const state::HealthEntry* health = input.health.key(channel.first_key + i);
    if (may_use(health, input.now_ns)) return KeyState::usable;
    best = KeyState::cooling;
    soonest_ns = std::min(soonest_ns, closed_until_ns(health));
  }
  if (best == KeyState::cooling) until_ns = std::max(until_ns, soonest_ns);
  return best;
}

// Responses is a shape of its own on the wire, but the same provider API as Chat.
bool speaks(const state::ChannelEntry& channel, dialect::Format format) {
  const auto provider = static_cast<dialect::Format>(channel.format);
  if (provider == format) return true;
  return provider == dialect::Format::openai && format == dialect::Format::responses;
}

struct Ranked {
  const state::CandidateEntry* entry = nullptr;
  TimeNs until_ns = 0;  ///< left alone until then; 0 = in use
  double drawn = 0;
};

/// In use first, by tier and draw; then those that are left alone, by when they are tried again.
bool before(const Ranked& a, const Ranked& b) {
  if ((a.until_ns == 0) != (b.until_ns == 0)) return a.until_ns == 0;
  if (a.until_ns != b.until_ns) return a.until_ns < b.until_ns;
  if (a.entry->priority != b.entry->priority) return a.entry->priority < b.entry->priority;
  return a.drawn < b.drawn;
}

/// The best few of any number.
struct Ranking {
  std::array<Ranked, kMaxCandidates> best;
  std::size_t count = 0;
  std::size_t seen = 0;
  std::uint32_t best_priority = UINT32_MAX;  ///< of all that were seen
  std::size_t left_alone_of_best = 0;

  void add(const Ranked& ranked) {
    ++seen;
    if (ranked.entry->priority < best_priority) {
      best_priority = ranked.entry->priority;
      left_alone_of_best = 0;
    }
    if (ranked.entry->priority == best_priority && ranked.until_ns != 0) ++left_alone_of_best;
    if (count == best.size() && !before(ranked, best.back())) return;
    std::size_t at = count < best.size() ? count++ : count - 1;
    for (; at > 0 && before(ranked, best[at - 1]); --at) best[at] = best[at - 1];
    best[at] = ranked;
  }
};

RouteReason reason_of(const ChoiceInput& input, const Ranking& ranking) {
  if (input.pinned_channel != 0) return RouteReason::pinned;
  const Ranked& first = ranking.best[0];
  if (first.until_ns != 0) return RouteReason::last_way;
  if (ranking.seen == 1) return RouteReason::only;
  if (ranking.left_alone_of_best > 0) return RouteReason::passed_over;
  const bool rivals = ranking.count > 1 && ranking.best[1].until_ns == 0 &&
                      ranking.best[1].entry->priority == first.entry->priority;
  if (!rivals) return RouteReason::priority;
  return input.session != 0 ? RouteReason::session : RouteReason::weight;
}

}  // namespace

CandidateList choose_candidates(const ChoiceInput& input, const state::ModelEntry& model,
                                dialect::Format format) {
  Ranking ranking;
  const auto candidates = input.catalog.candidates(model);
  const std::uint64_t seed = input.session != 0 ? input.session : input.random;
  for (const state::CandidateEntry& candidate : candidates) {
    const state::ChannelEntry& channel = input.catalog.channel(candidate);
    if ((channel.flags & state::kChannelEnabled) == 0 || !speaks(channel, format)) continue;
    if (input.pinned_channel != 0 && channel.id != input.pinned_channel) continue;
    const state::HealthEntry* health = input.health.channel(candidate.channel);
    Ranked ranked{.entry = &candidate};
    if (!may_use(health, input.now_ns)) ranked.until_ns = closed_until_ns(health);
    if (key_state(input, channel, ranked.until_ns) == KeyState::none) continue;
    if (candidates.size() > 1) ranked.drawn = draw(seed, channel.id, candidate.weight);
    ranking.add(ranked);
  }
  CandidateList list;
  if (ranking.count == 0) return list;
  list.reason = reason_of(input, ranking);
  const bool any_in_use = ranking.best[0].until_ns == 0;
  for (std::size_t i = 0; i < ranking.count; ++i) {
    if (any_in_use && ranking.best[i].until_ns != 0) break;
    list.entries[list.count++] = ranking.best[i].entry;
  }
  return list;
}

std::optional<std::uint32_t> choose_key(const ChoiceInput& input,
                                        const state::ChannelEntry& channel, std::uint64_t tried,
                                        bool last_way) {
  const auto keys = input.catalog.keys(channel);
  const std::uint64_t seed = input.session != 0 ? input.session : input.random;
  std::optional<std::uint32_t> best;
  TimeNs best_until_ns = INT64_MAX;
  std::uint64_t best_drawn = 0;
  for (std::uint32_t i = 0; i < keys.size() && i < kMaxChannelKeys; ++i) {
    if ((tried >> i & 1U) != 0 || !key_exists(input, keys[i], channel.first_key + i)) continue;
    const state::HealthEntry* health = input.health.key(channel.first_key + i);
    const bool usable = may_use(health, input.now_ns);
    if (!usable && !last_way) continue;
    const TimeNs until_ns = usable ? 0 : closed_until_ns(health);
    const std::uint64_t drawn = keys.size() > 1 ? mix(seed, keys[i].id) : 0;
    const bool better = until_ns != best_until_ns ? until_ns < best_until_ns : drawn > best_drawn;
    if (best && !better) continue;
    best = i;
    best_until_ns = until_ns;
    best_drawn = drawn;
  }
  return best;
}

std::uint64_t session_hash(std::string_view session, std::uint64_t key_id) {
  // FNV-1a over the bytes, then mixed: a session's name is short.
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325U;
  for (const char c : session) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3U;
  }
  hash = mix(hash, key_id);
  return hash == 0 ? 1 : hash;
}

}  // namespace sluice::policy
