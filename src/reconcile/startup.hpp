// Rows 14 to 18: which environment the node goes on with. Warm where it can, a new epoch where it must, and in
// between whatever can be saved of the old one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sluice/base/clock.hpp"
#include "sluice/base/random.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/state/build.hpp"

namespace sluice::reconcile {

struct StartOptions {
  std::uint32_t node = 1;
  std::string state_directory;
  std::uint64_t map_bytes = 512 * kMiB;
  std::uint32_t slots = 5;
  std::string boot_id_file = state::kBootIdFile;  ///< tests name another
};

enum class StartKind : std::uint8_t { warm, attached, rebuilt };

struct Started {
  std::unique_ptr<state::Environment> environment;
  StartKind kind = StartKind::rebuilt;
  std::string reason;  ///< why it was rebuilt, one line
};

/// `ledger` may be null (it is away): then only a warm environment will do (row 18). The caller holds `lock`.
/// Errors with a line in `message`.
[[nodiscard]] Result<Started> start_environment(const StartOptions& options, ledger::Ledger* ledger,
                                                const state::EnvironmentLock& lock, const Clock& clock, Rng& rng,
                                                std::string& message);

}  // namespace sluice::reconcile
