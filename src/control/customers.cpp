#include "sluice/control/customers.hpp"

#include <fmt/format.h>

#include "fields.hpp"
#include "sluice/base/text_units.hpp"
#include "transaction.hpp"

namespace sluice::control {
namespace {

std::string subject(std::string_view name) { return fmt::format("customer '{}'", name); }

Outcome<> apply_settings(Service& service, const CustomerSettings& settings, CustomerView& view) {
  if (settings.group) {
    auto group = service.ledger.catalog().group(*settings.group);
    if (!group)
      return std::unexpected(
          from_ledger(service, group.error(), fmt::format("group '{}'", *settings.group)));
    view.customer.group_id = group->id;
  }
  if (settings.note) {
    if (settings.note->size() > 500) return problem(Errc::bad_value, "note: longer than 500 bytes");
    view.customer.note = *settings.note;
  }
  read_flag(settings.enabled, view.customer.enabled);
  ledger::Wallet& wallet = view.wallet;
  CONTROL_TRY(read_zone("zone", settings.zone, wallet.zone));
  CONTROL_TRY(read_usd("overdraft", settings.overdraft, wallet.overdraft_limit));
  CONTROL_TRY(read_budget("budget-total", settings.budget_total, wallet.budget_total));
  CONTROL_TRY(read_budget("budget-day", settings.budget_day, wallet.budget_day));
  CONTROL_TRY(read_budget("budget-month", settings.budget_month, wallet.budget_month));
  CONTROL_TRY(read_count("max-in-flight", settings.max_in_flight, 1'000'000, wallet.max_in_flight));
  CONTROL_TRY(read_count("requests-per-minute", settings.requests_per_minute, 100'000'000,
                         wallet.requests_per_minute));
  CONTROL_TRY(read_count("tokens-per-minute", settings.tokens_per_minute, 1'000'000'000'000,
                         wallet.tokens_per_minute));
  // The catalog must know the zone before a wallet names it.
  if (auto zone = service.ledger.catalog().number_of(ledger::TextKind::zone, wallet.zone); !zone) {
    return std::unexpected(from_ledger(service, zone.error(), "zone"));
  }
  return {};
}

bool same(const CustomerView& a, const CustomerView& b) {
  return a.customer.group_id == b.customer.group_id && a.customer.note == b.customer.note &&
         a.customer.enabled == b.customer.enabled && a.wallet.zone == b.wallet.zone &&
         a.wallet.overdraft_limit == b.wallet.overdraft_limit &&
         a.wallet.budget_total == b.wallet.budget_total &&
         a.wallet.budget_day == b.wallet.budget_day &&
         a.wallet.budget_month == b.wallet.budget_month &&
         a.wallet.max_in_flight == b.wallet.max_in_flight &&
         a.wallet.requests_per_minute == b.wallet.requests_per_minute &&
         a.wallet.tokens_per_minute == b.wallet.tokens_per_minute;
}

Outcome<ledger::Entry> move_money(Service& service, std::string_view customer,
                                  std::string_view amount, std::string_view text,
                                  bool into_wallet) {
  const auto nanos = parse_usd(amount);
  if (!nanos || *nanos == 0)
    return problem(Errc::bad_value, "amount: must be USD above 0 such as 25.50");
  if (text.size() > 500) return problem(Errc::bad_value, "note: longer than 500 bytes");
  ledger::Entry entry;
  CONTROL_TRY(in_transaction(service, subject(customer), [&]() -> Outcome<> {
    auto view = find_customer(service, customer);
    if (!view) return std::unexpected(view.error());
    auto& money = service.ledger.money();
    auto moved = into_wallet
                     ? money.credit(view->wallet.id, *nanos, ledger::House::funding_credit, text)
                     : money.debit(view->wallet.id, *nanos, ledger::House::funding_credit, text);
    if (!moved) return std::unexpected(from_ledger(service, moved.error(), subject(customer)));
    entry = *moved;
    return note(service, into_wallet ? "credit add" : "credit take", customer,
                format_usd(*nanos) + " USD");
  }));
  return entry;
}

}  // namespace

Outcome<> check_name(std::string_view noun, std::string_view name) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  const std::size_t longest = noun == "model" ? 128 : 64;
  const std::string_view extra = noun == "model" ? "/:@" : "";
  bool good = !name.empty() && name.size() <= longest && name.front() != '-' && name.front() != '.';
  for (const char c : name)
    good = good &&
           (kAllowed.find(c) != std::string_view::npos || extra.find(c) != std::string_view::npos);
  if (good) return {};
  return problem(Errc::bad_value,
                 fmt::format("{} name '{}': must be 1 to {} letters, digits, '.', '_' or '-'{}",
                             noun, name, longest, extra.empty() ? "" : ", '/', ':', '@'"));
}

Outcome<CustomerView> add_customer(Service& service, std::string_view name,
                                   const CustomerSettings& settings) {
  CONTROL_TRY(check_name("customer", name));
  CustomerView view;
  view.customer.name = name;
  CONTROL_TRY(in_transaction(service, subject(name), [&]() -> Outcome<> {
    CONTROL_TRY(apply_settings(service, settings, view));
    if (auto added = service.ledger.customers().add(view.customer, view.wallet); !added) {
      return std::unexpected(from_ledger(service, added.error(), subject(name)));
    }
    return note(service, "customer add", name, "");
  }));
  return view;
}

Outcome<CustomerView> set_customer(Service& service, std::string_view name,
                                   const CustomerSettings& settings, bool& changed) {
  CustomerView view;
  changed = false;
  CONTROL_TRY(in_transaction(service, subject(name), [&]() -> Outcome<> {
    auto found = find_customer(service, name);
    if (!found) return std::unexpected(found.error());
    view = *found;
    CONTROL_TRY(apply_settings(service, settings, view));
    if (same(view, *found)) return {};
    changed = true;
    auto stored = service.ledger.customers().update(view.customer);
    if (stored) stored = service.ledger.customers().update(view.wallet);
    if (!stored) return std::unexpected(from_ledger(service, stored.error(), subject(name)));
    return note(service, "customer set", name, "");
  }));
  return view;
}

Outcome<CustomerView> find_customer(Service& service, std::string_view name) {
  auto customer = service.ledger.customers().by_name(name);
  if (!customer) return std::unexpected(from_ledger(service, customer.error(), subject(name)));
  auto wallet = service.ledger.customers().wallet_of(customer->id);
  if (!wallet) return std::unexpected(from_ledger(service, wallet.error(), subject(name)));
  return CustomerView{std::move(*customer), std::move(*wallet)};
}

Outcome<std::vector<CustomerView>> list_customers(Service& service) {
  auto customers = service.ledger.customers().list();
  if (!customers) return std::unexpected(from_ledger(service, customers.error(), "customers"));
  std::vector<CustomerView> out;
  for (ledger::Customer& customer : *customers) {
    auto wallet = service.ledger.customers().wallet_of(customer.id);
    if (!wallet)
      return std::unexpected(from_ledger(service, wallet.error(), subject(customer.name)));
    out.push_back({std::move(customer), std::move(*wallet)});
  }
  return out;
}

Outcome<ledger::Entry> add_credit(Service& service, std::string_view customer,
                                  std::string_view amount, std::string_view text) {
  return move_money(service, customer, amount, text, true);
}

Outcome<ledger::Entry> take_credit(Service& service, std::string_view customer,
                                   std::string_view amount, std::string_view text) {
  return move_money(service, customer, amount, text, false);
}

Outcome<std::vector<ledger::Entry>> wallet_history(Service& service, std::string_view customer,
                                                   std::int64_t limit) {
  auto view = find_customer(service, customer);
  if (!view) return std::unexpected(view.error());
  auto entries = service.ledger.money().history(view->wallet.id, limit);
  if (!entries) return std::unexpected(from_ledger(service, entries.error(), subject(customer)));
  return std::move(*entries);
}

}  // namespace sluice::control
