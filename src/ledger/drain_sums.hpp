// What a batch of usage rows adds up to. Pure: no database.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>

#include "sluice/base/error.hpp"
#include "sluice/ledger/usage.hpp"

namespace sluice::ledger {

/// First and last sequence number of a slot in a batch.
struct SlotRun {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

struct WalletPrice {
  Id wallet_id = 0;
  Id price_version = 0;
  auto operator<=>(const WalletPrice&) const = default;
};
struct Money {
  Nanos charged = 0;
  Nanos excess = 0;
  Nanos loss = 0;
};

struct OwnerDay {
  OwnerKind kind = OwnerKind::key;
  Id owner_id = 0;
  std::int64_t day = 0;
  std::int64_t month = 0;
  auto operator<=>(const OwnerDay&) const = default;
};

struct DayKey {
  std::int64_t day = 0;  ///< UTC, days since 1970
  Id key_id = 0;
  Id model_id = 0;
  Id channel_id = 0;
  Id wallet_id = 0;
  auto operator<=>(const DayKey&) const = default;
};
struct DaySums {
  std::int64_t requests = 0;
  Tokens input = 0;
  Tokens output = 0;
  Nanos charged = 0;
  Nanos upstream_cost = 0;  ///< of this channel, attempts that failed included
};

struct DrainSums {
  std::map<std::uint32_t, SlotRun> slots;
  std::map<WalletPrice, Money> money;
  std::map<OwnerDay, Nanos> windows;
  std::map<DayKey, DaySums> days;
};

/// Errors: Errc::bad_value when the rows of a slot are not contiguous, an amount is negative or a
/// sum overflows.
[[nodiscard]] Result<DrainSums> sum_up(const std::vector<UsageRow>& rows);

}  // namespace sluice::ledger
