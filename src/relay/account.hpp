// What a client may ask about the account of its key, answered from the shared state.
#pragma once

#include "request.hpp"
#include "sluice/dialect/account_body.hpp"
#include "sluice/ring/task.hpp"
#include "sluice/relay/services.hpp"

namespace sluice::relay {

/// Wallet and counters of the key as they are now. Errors: those of Environment, not_found.
[[nodiscard]] Result<dialect::AccountView> view_account(const Services& services,
                                                        const Snapshot& snapshot,
                                                        const state::KeyRecord& key,
                                                        TimeNs realtime_ns);

/// The record of a request of this key that has ended, as JSON: the reconciler has it from the
/// ledger. Errors: not_found (none of this key has the id), unavailable (nobody answers), full
/// (others are asking).
[[nodiscard]] ring::Task<Result<std::string>> find_request(Services& services,
                                                           const state::KeyRecord& key,
                                                           std::string_view request_id);

}  // namespace sluice::relay
