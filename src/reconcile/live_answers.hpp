// Answers to questions about the live state, and the reconciler's own metrics.
#pragma once

#include <string>

#include "drainer.hpp"
#include "housekeeping.hpp"

namespace sluice::reconcile {

/// "wallet=7 available=… held=… charged=… excess=…", then one "hold=…" line for each open hold.
[[nodiscard]] std::string wallet_answer(state::Environment& environment, state::WalletId wallet_id);

/// Prometheus text.
[[nodiscard]] std::string metrics_answer(state::Environment& environment, const Drainer& drainer,
                                         const Housekeeping& housekeeping, std::uint64_t lost_records);

}  // namespace sluice::reconcile
