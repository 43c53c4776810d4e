#include "snapshot.hpp"

#include <unordered_map>

#include "convert.hpp"
#include "windows.hpp"

namespace sluice::reconcile {
namespace {

/// Windows of now, one calculation a zone.
class ZoneWindows {
 public:
  explicit ZoneWindows(TimeNs now_ns) : now_ns_(now_ns) {}
  state::WindowIds of(const std::string& zone) {
    const auto known = windows_.find(zone);
    if (known != windows_.end()) return known->second;
    auto rules = ZoneRules::load(zone);
    if (!rules) rules = ZoneRules::load("UTC");
    return windows_[zone] = windows_at(*rules, now_ns_);
  }

 private:
  const TimeNs now_ns_;
  std::unordered_map<std::string, state::WindowIds> windows_;
};

struct Spent {
  Nanos total = 0, day = 0, month = 0;
};

using SumsOf = std::unordered_map<ledger::Id, std::vector<const ledger::WindowSum*>>;

/// Spent so far in the windows of now. Sums of a day that has passed count in its month and in the total.
Spent spent_in(const SumsOf& sums, ledger::Id id, state::WindowIds now) {
  Spent out;
  const auto rows = sums.find(id);
  if (rows == sums.end()) return out;
  for (const ledger::WindowSum* sum : rows->second) {
    out.total += sum->spent;
    if (sum->day == now.day) out.day += sum->spent;
    if (sum->month == now.month) out.month += sum->spent;
  }
  return out;
}

}  // namespace

Result<StateSnapshot> to_state(const ledger::EpochSnapshot& snapshot, const std::vector<ledger::NumberedText>& texts,
                               TimeNs realtime_ns, std::string& message) {
  const TextNumbers numbers(texts);
  ZoneWindows zones(realtime_ns);
  SumsOf key_sums, wallet_sums;
  for (const ledger::WindowSum& sum : snapshot.windows) {
    (sum.owner_kind == ledger::OwnerKind::key ? key_sums : wallet_sums)[sum.owner_id].push_back(&sum);
  }
  StateSnapshot out;
  out.wallets.reserve(snapshot.wallets.size());
  out.keys.reserve(snapshot.keys.size());
  std::unordered_map<ledger::Id, const ledger::Wallet*> wallets;
  for (const ledger::Wallet& wallet : snapshot.wallets) {
    wallets[wallet.id] = &wallet;
    const auto policy = to_publish(wallet, numbers);
    if (!policy) {
      message = "wallet " + std::to_string(wallet.id) + " names an unknown zone";
      return std::unexpected(policy.error());
    }
    state::WalletSnapshot row;
    row.policy = *policy;
    row.balance = wallet.balance;
    row.applied_no = static_cast<std::uint64_t>(wallet.last_no);
    row.windows = zones.of(wallet.zone);
    const Spent spent = spent_in(wallet_sums, wallet.id, row.windows);
    row.total.spent = spent.total;
    row.day.spent = spent.day;
    row.month.spent = spent.month;
    out.wallets.push_back(row);
  }
  for (const ledger::ApiKey& key : snapshot.keys) {
    const auto wallet = wallets.find(key.wallet_id);
    const auto publish = wallet == wallets.end() ? Result<state::KeyPublish>(fail(Errc::not_found))
                                                 : to_publish(key, *wallet->second, numbers);
    if (!publish) {
      message = "key " + std::to_string(key.id) + " names an unknown wallet, zone or set";
      return std::unexpected(publish.error());
    }
    state::KeySnapshot row;
    row.key = *publish;
    row.windows = zones.of(key.policy.zone);
    const Spent spent = spent_in(key_sums, key.id, row.windows);
    row.total.spent = spent.total;
    row.day.spent = spent.day;
    row.month.spent = spent.month;
    out.keys.push_back(row);
  }
  return out;
}

}  // namespace sluice::reconcile
