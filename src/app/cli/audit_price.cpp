#include "audit_price.hpp"

#include <limits>

#include "sluice/state/records.hpp"

namespace sluice::cli {
namespace {

__extension__ using Wide = __int128;

/// Σ tokens × rate / 10^6 + Σ calls × fee, × the group's thousandths, rounded up once.
Wide cost_of(const ledger::UsageRow& row, const price::PriceRow& price) {
  const Wide prompt =
      Wide{row.input} + row.cache_read + row.cache_write_short + row.cache_write_long;
  const price::Rates* rates = &price.base;
  for (const price::Band& band : price.bands) {
    if (band.above_prompt_tokens > 0 && prompt > band.above_prompt_tokens) rates = &band.rates;
  }
  Wide millionths = Wide{row.input} * rates->input + Wide{row.cache_read} * rates->cache_read +
                    Wide{row.cache_write_short} * rates->cache_write_short +
                    Wide{row.cache_write_long} * rates->cache_write_long +
                    Wide{row.output} * rates->output;
  for (std::size_t i = 0; i < row.calls.size(); ++i) {
    if (row.calls[i] > 0 && price.fees[i] > 0)
      millionths += Wide{row.calls[i]} * price.fees[i] * 1'000'000;
  }
  const Wide unit = Wide{1'000'000} * 1'000;
  return (millionths * row.multiplier + unit - 1) / unit;
}

bool has_windows_or_tiers(const price::PriceRow& price) {
  for (const price::Window& window : price.windows) {
    if (window.multiplier != 0) return true;
  }
  return price.tiers[1] != 0 || price.tiers[2] != 0 || price.tiers[3] != 0;
}

}  // namespace

AuditPrices::AuditPrices(const std::vector<ledger::Price>& prices) {
  for (const ledger::Price& price : prices)
    prices_[static_cast<ledger::Id>(price.row.version)] = price;
}

std::optional<std::string> AuditPrices::wrong(const ledger::UsageRow& row) const {
  const Wide paid = Wide{row.charged} + row.excess + row.loss;
  const bool voided = row.kind == static_cast<std::int64_t>(state::OutboxKind::voided) ||
                      (row.flags & price::kChargeVoid) != 0;
  if (voided) return paid == 0 ? std::nullopt : std::optional<std::string>("nothing: it is void");
  const auto price = prices_.find(row.price_version);
  constexpr std::int64_t kUncertain = price::kChargeClamped | price::kChargePriceMissing;
  if (price == prices_.end() || has_windows_or_tiers(price->second.row) ||
      (row.flags & kUncertain) != 0) {
    ++skipped_;
    return std::nullopt;
  }
  const Wide exact = cost_of(row, price->second.row);
  if (exact == paid) return std::nullopt;
  if (exact > std::numeric_limits<Nanos>::max()) return "more than there is";
  return std::to_string(static_cast<Nanos>(exact));
}

}  // namespace sluice::cli
