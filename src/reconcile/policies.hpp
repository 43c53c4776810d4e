// Keys and wallets of the ledger in the form that the shared state keeps.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "sluice/ledger/epoch_book.hpp"
#include "sluice/state/build.hpp"
#include "sluice/state/verbs.hpp"
#include "text_numbers.hpp"
#include "zone_windows.hpp"

namespace sluice::reconcile {

[[nodiscard]] state::WalletPublish to_publish(const ledger::Wallet& wallet,
                                              const TextNumbers& numbers);

/// `wallet` is the key's. Nothing when the digest is not 64 hex digits.
[[nodiscard]] std::optional<state::KeyPublish> to_publish(const ledger::ApiKey& key,
                                                          const ledger::Wallet& wallet,
                                                          const TextNumbers& numbers);

/// A secret that `key` had before: the same key under another digest, for as long as it is good;
/// taken away when that is over.
[[nodiscard]] std::optional<state::KeyPublish> to_publish(const ledger::FormerSecret& secret,
                                                          const state::KeyPublish& key,
                                                          TimeNs realtime_ns);

struct StateSnapshot {
  std::vector<state::WalletSnapshot> wallets;
  std::vector<state::KeySnapshot> keys;
};
/// What a new epoch starts from: balances, policies, and what was spent in the windows of
/// `realtime_ns`.
[[nodiscard]] StateSnapshot to_snapshot(const ledger::EpochSnapshot& snapshot,
                                        const TextNumbers& numbers, ZoneTable& zones,
                                        TimeNs realtime_ns);

}  // namespace sluice::reconcile
