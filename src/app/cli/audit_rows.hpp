// Usage rows of one epoch, wherever they are: in the ledger, or still in the outbox.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "audit_findings.hpp"
#include "progress.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::cli {

/// The shared state as it was before the ledger was read, and what of it moves on, as it was after:
/// whatever the ledger has lies between the two.
struct AuditedState {
  state::StateCopy before;
  std::map<std::uint32_t, std::uint64_t> heads;  ///< last outbox number of each slot
  std::map<std::uint32_t, std::uint64_t> heads_after;
  std::map<state::WalletId, std::uint64_t> applied_after;  ///< last published number
};

struct WalletSums {
  Nanos charged = 0;
  Nanos excess = 0;
  /// Charged for holds that had expired, whose money somebody else may have spent: of late rows,
  /// and of what has aged out, which may have been such rows.
  Nanos late = 0;
};

/// What one key or wallet spent, as far as the copied state can know: in all, by day, by month.
struct OwnerSums {
  Nanos total = 0;
  std::map<std::int64_t, Nanos> day;
  std::map<std::int64_t, Nanos> month;
  void add(std::int64_t in_day, std::int64_t in_month, Nanos spent);
};

/// What the checks of wallets, holds and counters need of the rows.
struct RowSums {
  std::map<ledger::Id, WalletSums> wallets;
  std::map<std::pair<ledger::OwnerKind, ledger::Id>, OwnerSums> owners;
  bool owners_complete = true;  ///< false: other nodes spend as well
  /// (slot, hold number) of what has a closing row; late rows apart
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> closed;
};

/// I3, I4, I5, I9 over the rows, each a step of `progress`. Within one snapshot of the ledger.
/// Errors: those of the ledger.
[[nodiscard]] Result<RowSums> audit_rows(ledger::Ledger& ledger, std::uint32_t node,
                                         const AuditedState& state, Findings& findings,
                                         Progress& progress);

}  // namespace sluice::cli
