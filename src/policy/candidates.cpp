#include "sluice/policy/candidates.hpp"

#include <algorithm>

namespace sluice::policy {
namespace {

bool has_usable_key(const state::Catalog& catalog, const state::ChannelEntry& channel) {
  if (channel.auth == state::Auth::none) return true;
  const auto keys = catalog.keys(channel);
  return std::any_of(keys.begin(), keys.end(), [](const auto& key) { return key.enabled != 0; });
}

// Responses is a shape of its own on the wire, but the same provider API as Chat.
bool speaks(const state::ChannelEntry& channel, dialect::Format format) {
  const auto provider = static_cast<dialect::Format>(channel.format);
  if (provider == format) return true;
  return provider == dialect::Format::openai && format == dialect::Format::responses;
}

}  // namespace

CandidateList choose_candidates(const state::Catalog& catalog, const state::ModelEntry& model,
                                dialect::Format format) {
  CandidateList list;
  for (const state::CandidateEntry& candidate : catalog.candidates(model)) {
    if (list.count == kMaxCandidates) break;
    const state::ChannelEntry& channel = catalog.channel(candidate);
    if ((channel.flags & state::kChannelEnabled) == 0 || !speaks(channel, format) ||
        !has_usable_key(catalog, channel)) {
      continue;
    }
    list.entries[list.count++] = &candidate;
  }
  return list;
}

}  // namespace sluice::policy
