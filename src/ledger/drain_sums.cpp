#include "drain_sums.hpp"

namespace sluice::ledger {
namespace {

constexpr TimeNs kDayNs = 86'400 * kSecond;

/// False when the sum does not fit or an amount is negative: neither may reach the books.
bool add(std::int64_t& sum, std::int64_t amount) {
  return amount >= 0 && !__builtin_add_overflow(sum, amount, &sum);
}

bool add_run(std::map<std::uint32_t, SlotRun>& slots, const UsageRow& row) {
  const auto [place, fresh] = slots.try_emplace(row.slot, SlotRun{row.seq, row.seq});
  if (fresh) return row.seq > 0;
  if (row.seq != place->second.last + 1) return false;
  place->second.last = row.seq;
  return true;
}

bool add_money(DrainSums& sums, const UsageRow& row) {
  Money& money = sums.money[{row.wallet_id, row.price_version}];
  Nanos spent = 0;
  return add(money.charged, row.charged) && add(money.excess, row.excess) &&
         add(money.loss, row.loss) && add(spent, row.charged) && add(spent, row.excess) &&
         add(sums.windows[{OwnerKind::key, row.key_id, row.key_day, row.key_month}], spent) &&
         add(sums.windows[{OwnerKind::wallet, row.wallet_id, row.wallet_day, row.wallet_month}],
             spent);
}

bool add_day(DrainSums& sums, const UsageRow& row) {
  const auto of_channel = [&](Id channel) -> DaySums& {
    return sums.days[{row.started_ns / kDayNs, row.key_id, row.model_id, channel, row.wallet_id}];
  };
  for (const UsageAttempt& attempt : row.failed) {
    if (attempt.cost != 0 && !add(of_channel(attempt.channel_id).upstream_cost, attempt.cost))
      return false;
  }
  DaySums& day = of_channel(row.channel_id);
  ++day.requests;
  return add(day.input, row.input) && add(day.input, row.cache_read) &&
         add(day.input, row.cache_write_short) && add(day.input, row.cache_write_long) &&
         add(day.output, row.output) && add(day.charged, row.charged) &&
         add(day.charged, row.excess) && add(day.upstream_cost, row.upstream_cost);
}

}  // namespace

Result<DrainSums> sum_up(const std::vector<UsageRow>& rows) {
  DrainSums sums;
  for (const UsageRow& row : rows) {
    if (!add_run(sums.slots, row) || !add_money(sums, row) || !add_day(sums, row))
      return fail(Errc::bad_value);
  }
  return sums;
}

}  // namespace sluice::ledger
