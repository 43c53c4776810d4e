#include "policies.hpp"

#include <algorithm>
#include <unordered_map>

#include "sluice/base/log.hpp"
#include "sluice/control/keys.hpp"

namespace sluice::reconcile {
namespace {

using ledger::TextKind;

/// -1 is "no limit" in the books, 0 in the shared state.
std::uint32_t count_limit(std::int64_t limit) {
  return limit <= 0 ? 0 : static_cast<std::uint32_t>(std::min<std::int64_t>(limit, 0xFFFF'FFFF));
}

Nanos budget_limit(Nanos limit) { return limit < 0 ? state::kNoBudget : limit; }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::optional<Digest256> parse_digest(const std::string& text) {
  Digest256 digest{};
  if (text.size() != digest.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return digest;
}

state::Limits limits_of(const ledger::KeyPolicy& policy) {
  state::Limits limits;
  limits.budget_total = budget_limit(policy.budget_total);
  limits.budget_day = budget_limit(policy.budget_day);
  limits.budget_month = budget_limit(policy.budget_month);
  limits.in_flight = count_limit(policy.max_in_flight);
  limits.requests_per_minute = count_limit(policy.requests_per_minute);
  limits.tokens_per_minute =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, policy.tokens_per_minute));
  return limits;
}

std::uint32_t flags_of(const ledger::KeyPolicy& policy) {
  std::uint32_t flags = 0;
  if (policy.may_pin) flags |= state::kKeyMayPin;
  if (policy.reserve_context) flags |= state::kKeyReserveContext;
  if (policy.budget_total >= 0 || policy.budget_day >= 0 || policy.budget_month >= 0)
    flags |= state::kKeyHasBudget;
  if (policy.credentials == ledger::Credentials::mask) flags |= state::kKeyMaskCredentials;
  if (policy.credentials == ledger::Credentials::refuse) flags |= state::kKeyRefuseCredentials;
  if (policy.requests_per_minute > 0 || policy.tokens_per_minute > 0)
    flags |= state::kKeyHasRateLimit;
  return flags;
}

/// What one owner spent: in all, and in the windows of now.
struct Spent {
  Nanos total = 0;
  Nanos day = 0;
  Nanos month = 0;
  state::WindowIds windows;
};

/// Sums by owner. Rows may come in any order; a window later than now's (the clock was set back)
/// counts as now's, for windows only go forward.
class SpentByOwner {
 public:
  explicit SpentByOwner(const std::vector<ledger::WindowSum>& sums) {
    rows_.reserve(sums.size());
    for (const ledger::WindowSum& sum : sums) rows_.push_back(&sum);
    std::ranges::sort(rows_, [](const auto* a, const auto* b) {
      return std::pair(a->owner_kind, a->owner_id) < std::pair(b->owner_kind, b->owner_id);
    });
  }
  [[nodiscard]] Spent of(ledger::OwnerKind kind, ledger::Id id, state::WindowIds now) const {
    Spent spent;
    const auto [first, last] = std::ranges::equal_range(
        rows_, std::pair(kind, id), {},
        [](const auto* row) { return std::pair(row->owner_kind, row->owner_id); });
    for (auto row = first; row != last; ++row) {
      now.day = std::max(now.day, static_cast<std::uint32_t>((*row)->day));
      now.month = std::max(now.month, static_cast<std::uint32_t>((*row)->month));
    }
    spent.windows = now;
    for (auto row = first; row != last; ++row) {
      spent.total += (*row)->spent;
      if ((*row)->day == now.day) spent.day += (*row)->spent;
      if ((*row)->month == now.month) spent.month += (*row)->spent;
    }
    return spent;
  }

 private:
  std::vector<const ledger::WindowSum*> rows_;
};

template <class Snapshot>
void set_windows(Snapshot& out, const Spent& spent) {
  out.total.spent = spent.total;
  out.day.spent = spent.day;
  out.month.spent = spent.month;
  out.windows = spent.windows;
}

}  // namespace

state::WalletPublish to_publish(const ledger::Wallet& wallet, const TextNumbers& numbers) {
  state::WalletPublish out;
  out.wallet_id = static_cast<std::uint64_t>(wallet.id);
  out.overdraft_limit = wallet.overdraft_limit;
  out.group = static_cast<std::uint32_t>(wallet.group_id);
  out.zone = numbers.of(TextKind::zone, wallet.zone);
  out.state = wallet.enabled ? state::WalletState::active : state::WalletState::suspended;
  out.limits.budget_total = budget_limit(wallet.budget_total);
  out.limits.budget_day = budget_limit(wallet.budget_day);
  out.limits.budget_month = budget_limit(wallet.budget_month);
  out.limits.in_flight = count_limit(wallet.max_in_flight);
  out.limits.requests_per_minute = count_limit(wallet.requests_per_minute);
  out.limits.tokens_per_minute =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, wallet.tokens_per_minute));
  return out;
}

std::optional<state::KeyPublish> to_publish(const ledger::ApiKey& key, const ledger::Wallet& wallet,
                                            const TextNumbers& numbers) {
  const auto digest = parse_digest(key.digest);
  if (!digest) return std::nullopt;
  const ledger::KeyPolicy& policy = key.policy;
  state::KeyPublish out;
  out.digest = *digest;
  out.limits = limits_of(policy);
  state::KeyRecord& record = out.record;
  record.key_id = static_cast<std::uint64_t>(key.id);
  record.wallet_id = static_cast<std::uint64_t>(key.wallet_id);
  record.expires_at_ns = policy.expires_ns;
  record.state = key.enabled ? state::KeyState::active : state::KeyState::disabled;
  record.on_disconnect = policy.on_disconnect == ledger::OnDisconnect::drain
                             ? state::OnDisconnect::drain
                             : state::OnDisconnect::cancel;
  record.on_low_balance = policy.clamp ? state::OnLowBalance::clamp : state::OnLowBalance::refuse;
  record.on_revoke =
      policy.on_revoke == ledger::OnRevoke::cut ? state::OnRevoke::cut : state::OnRevoke::finish;
  record.flags = flags_of(policy);
  record.model_set = numbers.of(TextKind::model_set, policy.models);
  record.cidr_set = numbers.of(TextKind::cidr_set, control::cidr_set_text(policy));
  record.zone = numbers.of(TextKind::zone, policy.zone);
  record.wallet_zone = numbers.of(TextKind::zone, wallet.zone);
  record.group = static_cast<std::uint32_t>(wallet.group_id);
  record.drain_seconds = count_limit(policy.drain_seconds);
  record.drain_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, policy.drain_bytes));
  record.drain_nanos = policy.drain_nanos;
  record.excess_max = policy.excess_max;
  return out;
}

std::optional<state::KeyPublish> to_publish(const ledger::FormerSecret& secret,
                                            const state::KeyPublish& key, TimeNs realtime_ns) {
  const auto digest = parse_digest(secret.digest);
  if (!digest) return std::nullopt;
  state::KeyPublish out = key;
  out.digest = *digest;
  out.remove = secret.expires_ns <= realtime_ns;
  TimeNs& expires_ns = out.record.expires_at_ns;
  expires_ns = expires_ns == 0 ? secret.expires_ns : std::min(expires_ns, secret.expires_ns);
  return out;
}

StateSnapshot to_snapshot(const ledger::EpochSnapshot& snapshot, const TextNumbers& numbers,
                          ZoneTable& zones, TimeNs realtime_ns) {
  StateSnapshot out;
  const SpentByOwner spent(snapshot.windows);
  std::unordered_map<ledger::Id, const ledger::Wallet*> wallets;
  out.wallets.reserve(snapshot.wallets.size());
  out.keys.reserve(snapshot.keys.size());
  for (const ledger::Wallet& wallet : snapshot.wallets) {
    wallets.emplace(wallet.id, &wallet);
    state::WalletSnapshot row;
    row.policy = to_publish(wallet, numbers);
    row.balance = wallet.balance;
    row.applied_no = static_cast<std::uint64_t>(wallet.last_no);
    const state::WindowIds now = zones.windows_at(wallet.zone, realtime_ns);
    set_windows(row, spent.of(ledger::OwnerKind::wallet, wallet.id, now));
    out.wallets.push_back(row);
  }
  std::unordered_multimap<ledger::Id, const ledger::FormerSecret*> former;
  for (const ledger::FormerSecret& secret : snapshot.former) former.emplace(secret.key_id, &secret);
  for (const ledger::ApiKey& key : snapshot.keys) {
    const auto wallet = wallets.find(key.wallet_id);
    auto published =
        wallet == wallets.end() ? std::nullopt : to_publish(key, *wallet->second, numbers);
    if (!published) {
      log_line(LogLevel::error, "reconcile",
               "key " + std::to_string(key.id) + " of the ledger is unusable: left out");
      continue;
    }
    state::KeySnapshot row;
    row.key = *published;
    const state::WindowIds now = zones.windows_at(key.policy.zone, realtime_ns);
    set_windows(row, spent.of(ledger::OwnerKind::key, key.id, now));
    out.keys.push_back(row);
    for (auto [at, end] = former.equal_range(key.id); at != end; ++at) {
      const auto secret = to_publish(*at->second, *published, realtime_ns);
      if (!secret || secret->remove) continue;
      row.key = *secret;
      out.keys.push_back(row);
    }
  }
  return out;
}

}  // namespace sluice::reconcile
