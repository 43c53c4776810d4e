// How long each phase of a request may take: the model says, else the channel, else the node.
#pragma once

#include "sluice/policy/candidates.hpp"
#include "sluice/relay/settings.hpp"

namespace sluice::relay {

/// All are durations, > 0.
struct Timeouts {
  TimeNs connect_ns = 0;
  TimeNs tls_ns = 0;          ///< the handshake, from the end of the connect
  TimeNs first_byte_ns = 0;   ///< from when the connection is there to the answer's head
  TimeNs first_token_ns = 0;  ///< from the answer's head; comments of the provider do not count
  TimeNs between_tokens_ns = 0;
  TimeNs total_ns = 0;  ///< from the client's request
};

[[nodiscard]] Timeouts timeouts_of(const Settings& settings, const state::ModelEntry& model,
                                   const state::ChannelEntry& channel, bool stream);
/// The longest total of any of the candidates: a hold lives that long at least.
[[nodiscard]] TimeNs longest_total_ns(const Settings& settings, const state::Catalog& catalog,
                                      const state::ModelEntry& model,
                                      const policy::CandidateList& candidates);

}  // namespace sluice::relay
