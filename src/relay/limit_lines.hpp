// Header lines that tell a client how near it is to its rate limits.
#pragma once

#include "request.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::relay {

/// Of the counters as the reservation left them; empty where there is no limit.
[[nodiscard]] Body limit_lines(dialect::Format format, const state::RateView& rates,
                               TimeNs realtime_ns);

}  // namespace sluice::relay
