// Asking a running reconciler for live numbers, over its read-only Unix socket <state
// directory>/reconciler.sock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sluice/base/units.hpp"

namespace sluice::reconcile {

/// A wallet as shared state has it now.
struct LiveWallet {
  Nanos available = 0;
  Nanos held = 0;
  Nanos charged = 0;
  Nanos excess = 0;
};

/// Whether a reconciler answers there. Waits at most 1 s.
[[nodiscard]] bool is_running(const std::string& state_directory);

/// Nothing when no reconciler runs or the wallet is not in shared state.
[[nodiscard]] std::optional<LiveWallet> query_wallet(const std::string& state_directory,
                                                     std::uint64_t wallet_id);

}  // namespace sluice::reconcile
