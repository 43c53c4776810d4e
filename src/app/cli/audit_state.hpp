// The copied shared state: its records one against the other, against the rows, against the books.
#pragma once

#include "audit_rows.hpp"

namespace sluice::cli {

/// Records that are damaged, or of another epoch than the ledger's newest: what makes all that
/// follows doubtful. Within one snapshot of the ledger. Errors: those of the ledger.
[[nodiscard]] Result<> audit_records(ledger::Ledger& ledger, std::uint32_t node,
                                     const AuditedState& state, Findings& findings);

/// Whether the ledger's newest epoch of the node is the one that was copied. Errors: those of the
/// ledger.
[[nodiscard]] Result<bool> is_newest_epoch(ledger::Ledger& ledger, std::uint32_t node,
                                           const state::MetaRecord& meta);

/// I1, I3 of wallets, holds and counters.
void audit_balances(const AuditedState& state, const RowSums& rows, Findings& findings);

/// I1, I2, I6: base is the balance at the epoch's start, applied the numbered entries since, and
/// nobody spent below the limit. Within one
/// snapshot of the ledger. Errors: those of the ledger.
[[nodiscard]] Result<> audit_credits(ledger::Ledger& ledger, std::uint32_t node,
                                     const AuditedState& state, const RowSums& rows,
                                     Findings& findings);

}  // namespace sluice::cli
