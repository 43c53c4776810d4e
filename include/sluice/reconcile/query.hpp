// Asking a running reconciler, over its read-only Unix socket <state directory>/reconciler.sock. One question a
// line, answers as lines of "name=value" that end with an empty line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sluice/base/units.hpp"

namespace sluice::reconcile {

struct LiveHold {
  std::uint32_t slot = 0;
  std::uint64_t seq = 0;
  std::uint64_t key_id = 0;
  Nanos amount = 0;
  TimeNs opened_ns = 0;
  std::string request_id;
};

/// A wallet as shared state has it now.
struct LiveWallet {
  Nanos available = 0;
  Nanos held = 0;
  Nanos charged = 0;
  Nanos excess = 0;
  std::vector<LiveHold> holds;  ///< open ones, at most 1,000
};

[[nodiscard]] std::string socket_path(const std::string& state_directory);

/// Whether a reconciler answers there. Waits at most 1 s.
[[nodiscard]] bool is_running(const std::string& state_directory);

/// Nothing when no reconciler runs or the wallet is not in shared state.
[[nodiscard]] std::optional<LiveWallet> query_wallet(const std::string& state_directory, std::uint64_t wallet_id);

}  // namespace sluice::reconcile
