#include "timeouts.hpp"

#include <algorithm>

namespace sluice::relay {
namespace {

/// The first that is set.
TimeNs chosen(std::uint32_t of_model_ms, std::uint32_t of_channel_ms, TimeNs of_node_ns) {
  if (of_model_ms != 0) return of_model_ms * kMillisecond;
  return of_channel_ms != 0 ? of_channel_ms * kMillisecond : of_node_ns;
}

}  // namespace

Timeouts timeouts_of(const Settings& settings, const state::ModelEntry& model,
                     const state::ChannelEntry& channel, bool stream) {
  const TimeNs first_byte_ns =
      stream ? settings.first_byte_stream_ns : settings.first_byte_whole_ns;
  return {
      .connect_ns = chosen(0, channel.connect_timeout_ms, settings.connect_ns),
      .tls_ns = settings.tls_ns,
      .first_byte_ns =
          chosen(model.first_byte_timeout_ms, channel.first_byte_timeout_ms, first_byte_ns),
      .first_token_ns = chosen(model.first_token_timeout_ms, 0, settings.first_token_ns),
      .between_tokens_ns = chosen(model.between_tokens_timeout_ms, 0, settings.between_tokens_ns),
      .total_ns = chosen(model.total_timeout_ms, channel.total_timeout_ms, settings.total_ns)};
}

TimeNs longest_total_ns(const Settings& settings, const state::Catalog& catalog,
                        const state::ModelEntry& model, const policy::CandidateList& candidates) {
  TimeNs longest_ns = 0;
  for (std::size_t i = 0; i < candidates.count; ++i) {
    const state::ChannelEntry& channel = catalog.channel(*candidates.entries[i]);
    longest_ns = std::max(
        longest_ns, chosen(model.total_timeout_ms, channel.total_timeout_ms, settings.total_ns));
  }
  return longest_ns;
}

}  // namespace sluice::relay
