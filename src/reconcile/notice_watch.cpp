#include "notice_watch.hpp"

#include <algorithm>

#include "json_line.hpp"
#include "notice_text.hpp"
#include "sluice/base/text_units.hpp"

namespace sluice::reconcile {
namespace {

using ledger::NoticeKind;
using ledger::OwnerKind;

constexpr std::size_t kAtOnce = 64;
// A balance counts as filled again a tenth above its threshold, a budget as free a tenth below it.
constexpr Nanos kHysteresis = 10;

#define WATCH_TRY(expression) \
  if (auto outcome = (expression); !outcome) return std::unexpected(outcome.error())

struct Spent {
  Nanos day = 0;
  Nanos month = 0;
  Nanos total = 0;
};

/// Fills `day` and `month` where they are 0.
Result<Spent> spent_of(ledger::Ledger& ledger, OwnerKind kind, ledger::Id id, std::int64_t& day,
                       std::int64_t& month) {
  const auto sums = ledger.usage().window_sums(kind, id);
  if (!sums) return std::unexpected(sums.error());
  Spent spent;
  if (day == 0) {
    for (const ledger::WindowSum& sum : *sums) {
      day = std::max(day, sum.day);
      month = std::max(month, sum.month);
    }
  }
  for (const ledger::WindowSum& sum : *sums) {
    spent.total += sum.spent;
    if (sum.month == month) spent.month += sum.spent;
    if (sum.day == day) spent.day += sum.spent;
  }
  return spent;
}

}  // namespace

void NoticeWatch::note(std::span<const state::OutboxRow> rows) {
  for (const state::OutboxRow& row : rows) {
    const state::OutboxRecord& record = row.record;
    if (record.charged + record.excess == 0) continue;
    Windows& wallet = wallets_[static_cast<ledger::Id>(record.wallet_id)];
    wallet.day = record.wallet_windows.day;
    wallet.month = record.wallet_windows.month;
    Windows& key = keys_[static_cast<ledger::Id>(record.key_id)];
    key.day = record.key_windows.day;
    key.month = record.key_windows.month;
  }
}

void NoticeWatch::note(const state::RefusedRecord& record) {
  const auto limit = static_cast<state::Limit>(record.limit);
  if (record.key_id == 0 || limit == state::Limit::none || limit > state::Limit::wallet_month)
    return;
  keys_[static_cast<ledger::Id>(record.key_id)].refused = limit;
}

Result<bool> NoticeWatch::step() {
  raised_ = false;
  for (std::size_t i = 0; i < kAtOnce && !wallets_.empty(); ++i) {
    const auto [id, windows] = *wallets_.begin();
    WATCH_TRY(look_at_wallet(id, windows));
    wallets_.erase(id);
  }
  for (std::size_t i = 0; i < kAtOnce && !keys_.empty(); ++i) {
    const auto [id, windows] = *keys_.begin();
    WATCH_TRY(look_at_key(id, windows));
    keys_.erase(id);
  }
  return raised_;
}

Result<std::string> NoticeWatch::customer_of(const ledger::Wallet& wallet) {
  auto customer = ledger_.customers().by_id(wallet.customer_id);
  if (!customer) return std::unexpected(customer.error());
  return customer->name;
}

Result<> NoticeWatch::look_at_wallet(ledger::Id id, const Windows& windows) {
  const auto wallet = ledger_.customers().wallet(id);
  if (!wallet) return std::unexpected(wallet.error());
  const auto customer = customer_of(*wallet);
  if (!customer) return std::unexpected(customer.error());
  if (low_balance_ > 0) WATCH_TRY(check_balance(*wallet, *customer));
  if (wallet->budget_day < 0 && wallet->budget_month < 0) return {};
  std::int64_t day = windows.day, month = windows.month;
  const auto spent = spent_of(ledger_, OwnerKind::wallet, id, day, month);
  if (!spent) return std::unexpected(spent.error());
  for (const Budget& budget :
       {Budget{NoticeKind::wallet_budget_day, wallet->budget_day, spent->day, day,
               windows.refused == state::Limit::wallet_day},
        Budget{NoticeKind::wallet_budget_month, wallet->budget_month, spent->month, month,
               windows.refused == state::Limit::wallet_month}}) {
    WATCH_TRY(check_budget(budget, id, *customer, ""));
  }
  return {};
}

Result<> NoticeWatch::look_at_key(ledger::Id id, const Windows& windows) {
  const auto key = ledger_.keys().by_id(id);
  if (!key) return std::unexpected(key.error());
  // What was refused to a key may be its wallet's.
  if (windows.refused != state::Limit::none)
    WATCH_TRY(look_at_wallet(key->wallet_id, {.refused = windows.refused}));
  const ledger::KeyPolicy& policy = key->policy;
  if (policy.budget_total < 0 && policy.budget_day < 0 && policy.budget_month < 0) return {};
  const auto wallet = ledger_.customers().wallet(key->wallet_id);
  if (!wallet) return std::unexpected(wallet.error());
  const auto customer = customer_of(*wallet);
  if (!customer) return std::unexpected(customer.error());
  std::int64_t day = windows.day, month = windows.month;
  const auto spent = spent_of(ledger_, OwnerKind::key, id, day, month);
  if (!spent) return std::unexpected(spent.error());
  for (const Budget& budget :
       {Budget{NoticeKind::key_budget_total, policy.budget_total, spent->total, 0,
               windows.refused == state::Limit::key_total},
        Budget{NoticeKind::key_budget_day, policy.budget_day, spent->day, day,
               windows.refused == state::Limit::key_day},
        Budget{NoticeKind::key_budget_month, policy.budget_month, spent->month, month,
               windows.refused == state::Limit::key_month}}) {
    WATCH_TRY(check_budget(budget, id, *customer, key->name));
  }
  return {};
}

Result<> NoticeWatch::check_balance(const ledger::Wallet& wallet, std::string_view customer) {
  if (wallet.balance < low_balance_) {
    return raise(NoticeKind::low_balance, wallet.id, 0,
                 low_balance_body(clock_.realtime_ns(), {customer, wallet.balance, low_balance_}));
  }
  if (wallet.balance < low_balance_ + low_balance_ / kHysteresis) return {};
  return ledger_.notices().clear(NoticeKind::low_balance, wallet.id);
}

Result<> NoticeWatch::check_budget(const Budget& budget, ledger::Id subject,
                                   std::string_view customer, std::string_view key) {
  if (budget.limit < 0) return ledger_.notices().clear(budget.kind, subject);
  if (budget.spent < budget.limit && !budget.refused) {
    // A rest that pays small requests still, after a large one was refused, is the same event.
    if (budget.spent >= budget.limit - budget.limit / kHysteresis) return {};
    return ledger_.notices().clear(budget.kind, subject);
  }
  return raise(
      budget.kind, subject, budget.period,
      budget_body(budget.kind, clock_.realtime_ns(), {customer, key, budget.limit, budget.spent}));
}

Result<> NoticeWatch::raise(NoticeKind kind, ledger::Id subject, std::int64_t period,
                            std::string_view body) {
  const auto id = ledger_.notices().raise(kind, subject, period, body);
  if (!id) return std::unexpected(id.error());
  raised_ |= *id != 0;
  return {};
}

Result<bool> NoticeWatch::tell_channel(bool down, ledger::Id channel_id, std::string_view name,
                                       std::string_view why) {
  const NoticeKind kind = down ? NoticeKind::channel_down : NoticeKind::channel_up;
  const NoticeKind opposite = down ? NoticeKind::channel_up : NoticeKind::channel_down;
  std::string body;
  JsonLine line(body);
  line.plain("type", notice_type(kind));
  line.plain("at", format_utc(clock_.realtime_ns()));
  line.text("channel", name);
  if (!why.empty()) line.text("why", why);
  line.end();
  body.pop_back();
  raised_ = false;
  WATCH_TRY(ledger_.write([&]() -> Result<> {
    WATCH_TRY(ledger_.notices().clear(opposite, channel_id));
    return raise(kind, channel_id, 0, body);
  }));
  return raised_;
}

}  // namespace sluice::reconcile
