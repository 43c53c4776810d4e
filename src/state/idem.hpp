// The table of used Idempotency-Keys, as reservations and the ends of holds change it.
#pragma once

#include <span>

#include "sluice/state/records.hpp"
#include "sluice/state/tables.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {

/// A row with its key takes about 110 bytes: all of them have at most about a ninth of the map.
inline constexpr std::uint64_t kMapBytesPerIdemRow = 1024;

inline bool names_key(const IdemHash& hash) { return hash != IdemHash{}; }

/// Limit::none when the key is new to us; repeated (with `first`) when it is not, idem_full when no
/// row can be added. Changes nothing. Errors: as Tables.
[[nodiscard]] Result<Limit> check_idem(Tables& tables, const ReserveVerb& verb, FirstUse& first);

/// The row of a request that was admitted.
[[nodiscard]] Result<> begin_idem(Tables& tables, const ReserveVerb& verb);

/// The request of `hold` has ended at `cost`: its row says so, or goes when it cost nothing. A row
/// that is another request's by now is left alone.
[[nodiscard]] Result<> end_idem(Tables& tables, const HoldRecord& hold, Nanos cost);

/// Expired, or done and older than `age_ns`. Times are realtime.
[[nodiscard]] bool may_be_forgotten(const IdemRecord& record, TimeNs now_ns, TimeNs age_ns);

/// Removes those of the rows that may still be forgotten. Returns how many. Errors: as Tables.
[[nodiscard]] Result<std::size_t> forget_idem(Tables& tables, std::span<const IdemKey> keys,
                                              TimeNs now_ns, TimeNs age_ns);

}  // namespace sluice::state
