// Which channels may serve a request and in which order they are tried, and with which of a
// channel's keys: pure functions of the catalog, of what the health board says now, of the session
// and of a random number.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sluice/dialect/format.hpp"
#include "sluice/policy/breaker.hpp"
#include "sluice/state/catalog.hpp"

namespace sluice::policy {

inline constexpr std::size_t kMaxCandidates = 8;
inline constexpr std::uint32_t kMaxChannelKeys = 64;  ///< of a channel that are rotated

using state::RouteReason;

/// The health board as one generation of the catalog numbers it. Views; an empty span, or a null
/// entry, knows of no faults.
struct HealthView {
  std::span<state::HealthEntry* const> channels;  ///< by channel index
  std::span<state::HealthEntry* const> keys;      ///< by index of the channel key

  [[nodiscard]] state::HealthEntry* channel(std::size_t index) const {
    return index < channels.size() ? channels[index] : nullptr;
  }
  [[nodiscard]] state::HealthEntry* key(std::size_t index) const {
    return index < keys.size() ? keys[index] : nullptr;
  }
};

struct ChoiceInput {
  const state::Catalog& catalog;
  HealthView health;
  /// Provider keys in the clear by index of the channel key, empty where one could not be opened.
  std::span<const std::string_view> opened_keys;
  std::uint64_t session = 0;  ///< hash of the session, 0 = none
  std::uint64_t random = 0;
  std::uint32_t pinned_channel = 0;  ///< id, 0 = none
  TimeNs now_ns = 0;                 ///< monotonic
};

struct CandidateList {
  std::array<const state::CandidateEntry*, kMaxCandidates> entries{};
  std::size_t count = 0;
  RouteReason reason = RouteReason::unknown;  ///< of the first
};

/// The channels of the model that are enabled, speak `format` and have a usable key (or need none):
/// by priority, among equals by weight (where the session was before, else drawn). Those whose
/// breaker is open are left out, unless nothing else is there: then the one that is tried again
/// soonest comes first. Views into the catalog; empty where no channel serves the model.
[[nodiscard]] CandidateList choose_candidates(const ChoiceInput& input,
                                              const state::ModelEntry& model,
                                              dialect::Format format);

/// Index within the channel's keys of the one to use: enabled, opened, not in the set `tried`
/// (bit i = key i), not cooling down; the session's own, else drawn. Where all others cool down and
/// `last_way` is set, the one that is tried again soonest. Nothing when there is none.
[[nodiscard]] std::optional<std::uint32_t> choose_key(const ChoiceInput& input,
                                                      const state::ChannelEntry& channel,
                                                      std::uint64_t tried, bool last_way);

/// Hash of what identifies a session, within one client key. Never 0.
[[nodiscard]] std::uint64_t session_hash(std::string_view session, std::uint64_t key_id);

}  // namespace sluice::policy
