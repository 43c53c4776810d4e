// Read-only copies for the auditor and the reconciler: one read transaction, everything copied out,
// closed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/records.hpp"

namespace sluice::state {

struct HoldRow {
  HoldId id;
  HoldRecord record;
};
struct OutboxRow {
  OutboxId id;
  OutboxRecord record;
};
struct KeyRow {
  Digest256 digest{};
  KeyRecord record;
};
/// A row that failed its check; the copy goes on without it.
struct CorruptRow {
  Table table = Table::meta;
  std::uint64_t ordinal = 0;  ///< position in its table
  std::string key;            ///< as it is in the table, bytes in hex
};

enum CopyWhat : std::uint32_t {
  kCopyWallets = 1U << 0,
  kCopyCounters = 1U << 1,
  kCopyHolds = 1U << 2,
  kCopyOutbox = 1U << 3,
  kCopySlots = 1U << 4,
  kCopyKeys = 1U << 5,
  kCopyIdem = 1U << 6,
  kCopyAll = 0x7F,
};

/// A consistent picture: all of one committed transaction.
struct StateCopy {
  MetaRecord meta;
  std::uint64_t txn = 0;
  std::vector<WalletRecord> wallets;
  std::vector<CounterRecord> counters;
  std::vector<SlotRecord> slots;
  std::vector<HoldRow> holds;
  std::vector<OutboxRow> outbox;
  std::vector<KeyRow> keys;
  std::vector<IdemRecord> idem;
  std::vector<CorruptRow> corrupt;
};

/// Copies what `what` (CopyWhat bits) names. Holds one read transaction for as long as the copy
/// takes. Errors: stale_epoch, io, corrupt (meta only).
[[nodiscard]] Result<> copy_state(Environment& environment, std::uint32_t what, StateCopy& out);

/// Rows of one slot after `after_seq`, at most `limit`, appended to `out` (row 8: the transaction
/// is closed before this returns). Stops before a corrupt row with Errc::corrupt; good rows before
/// it are in `out`.
[[nodiscard]] Result<std::size_t> read_outbox(Environment& environment, SlotId slot,
                                              std::uint64_t after_seq, std::size_t limit,
                                              std::vector<OutboxRow>& out);

/// Holds whose deadline is over (candidates for row 6), at most `limit`, appended. Errors as
/// copy_state.
[[nodiscard]] Result<std::size_t> overdue_holds(Environment& environment, TimeNs now_monotonic_ns,
                                                std::size_t limit, std::vector<HoldId>& out);

/// Idempotency-Keys that may be forgotten, found from `after` on.
struct IdemScan {
  std::size_t rows = 0;         ///< that the table has in all
  std::size_t rows_most = 0;    ///< that it may have
  std::vector<IdemKey> old;     ///< expired, or older than `age_ns` and done
  std::optional<IdemKey> last;  ///< of the rows that were looked at; nothing at the table's end
};
/// Looks at `look_at_most` rows and keeps `old_most` of them, within one short read transaction.
/// Times are realtime. Errors as copy_state.
[[nodiscard]] Result<IdemScan> scan_idem(Environment& environment,
                                         const std::optional<IdemKey>& after, TimeNs now_ns,
                                         TimeNs age_ns, std::size_t look_at_most,
                                         std::size_t old_most);

/// I1 of one wallet: available + held + charged + excess = credits().
[[nodiscard]] bool identity_holds(const WalletRecord& wallet);

}  // namespace sluice::state
