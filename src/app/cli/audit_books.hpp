// The ledger audited by itself: entries, accounts, numbers, batches, cursors.
#pragma once

#include "audit_findings.hpp"
#include "progress.hpp"
#include "sluice/ledger/ledger.hpp"

namespace sluice::cli {

/// Within one snapshot of the ledger. Errors: those of the ledger.
[[nodiscard]] Result<> audit_books(ledger::Ledger& ledger, Findings& findings,
                                   Progress& progress);

}  // namespace sluice::cli
