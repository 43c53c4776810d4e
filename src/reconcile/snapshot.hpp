// The ledger's snapshot of an epoch as what state::build_epoch() takes.
#pragma once

#include <string>
#include <vector>

#include "sluice/ledger/catalog_book.hpp"
#include "sluice/ledger/epoch_book.hpp"
#include "sluice/state/build.hpp"

namespace sluice::reconcile {

struct StateSnapshot {
  std::vector<state::WalletSnapshot> wallets;
  std::vector<state::KeySnapshot> keys;
};

/// `texts` are those of the same snapshot. Errors: not_found (a zone or set that was never numbered), with a line.
[[nodiscard]] Result<StateSnapshot> to_state(const ledger::EpochSnapshot& snapshot,
                                             const std::vector<ledger::NumberedText>& texts, TimeNs realtime_ns,
                                             std::string& message);

}  // namespace sluice::reconcile
