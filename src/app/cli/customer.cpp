#include "sluice/base/text_units.hpp"
#include "sluice/control/customers.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

Record to_record(const control::CustomerView& view) {
  const ledger::Wallet& wallet = view.wallet;
  return {{"id", view.customer.id},
          {"name", view.customer.name},
          {"enabled", view.customer.enabled},
          {"balance_usd", format_usd(wallet.balance)},
          {"overdraft_usd", format_usd(wallet.overdraft_limit)},
          {"budget_total_usd", budget_text(wallet.budget_total)},
          {"budget_day_usd", budget_text(wallet.budget_day)},
          {"budget_month_usd", budget_text(wallet.budget_month)},
          {"max_in_flight", count_text(wallet.max_in_flight)},
          {"requests_per_minute", count_text(wallet.requests_per_minute)},
          {"tokens_per_minute", count_text(wallet.tokens_per_minute)},
          {"zone", wallet.zone},
          {"note", view.customer.note}};
}

struct Arguments {
  std::string name;
  control::CustomerSettings settings;
};

void add_options(Verb& verb, Arguments& arguments) {
  control::CustomerSettings& settings = arguments.settings;
  verb.argument("name", "customer", arguments.name)
      .option("--group", "price group", settings.group)
      .option("--note", "for people", settings.note)
      .option("--zone", "IANA time zone of its windows", settings.zone)
      .option("--overdraft", "USD that the balance may go below zero", settings.overdraft)
      .option("--budget-total", "USD that its keys may spend in all, or none",
              settings.budget_total)
      .option("--budget-day", "USD a day, or none", settings.budget_day)
      .option("--budget-month", "USD a month, or none", settings.budget_month)
      .option("--max-in-flight", "requests at once, or none", settings.max_in_flight)
      .option("--requests-per-minute", "or none", settings.requests_per_minute)
      .option("--tokens-per-minute", "or none", settings.tokens_per_minute);
}

Outcome<> show(Session& session, const Outcome<control::CustomerView>& view) {
  if (!view) return std::unexpected(view.error());
  if (auto visible = session.wait_visible(); !visible) return visible;
  print_record(session.json(), to_record(*view));
  return {};
}

}  // namespace

std::string budget_text(Nanos amount) { return amount < 0 ? "none" : format_usd(amount); }
std::string count_text(std::int64_t count) { return count < 0 ? "none" : std::to_string(count); }

void add_customer_verbs(Parser& parser, Session& session) {
  auto added = std::make_shared<Arguments>();
  Verb& add = parser.verb("customer", "add", "creates a customer and its wallet");
  add_options(add, *added);
  add.runs([&session, added]() -> Outcome<> {
    auto service = session.service();
    if (!service) return std::unexpected(service.error());
    return show(session, control::add_customer(**service, added->name, added->settings));
  });

  auto changed = std::make_shared<Arguments>();
  Verb& set = parser.verb("customer", "set", "changes what is given");
  add_options(set, *changed);
  set.toggle("enable", "may its keys be used", changed->settings.enabled);
  set.runs([&session, changed]() -> Outcome<> {
    auto service = session.service();
    if (!service) return std::unexpected(service.error());
    bool differs = false;
    return show(session,
                control::set_customer(**service, changed->name, changed->settings, differs));
  });

  auto name = std::make_shared<std::string>();
  parser.verb("customer", "show", "shows a customer")
      .argument("name", "customer", *name)
      .runs([&session, name]() -> Outcome<> {
        auto service = session.service();
        if (!service) return std::unexpected(service.error());
        auto view = control::find_customer(**service, *name);
        if (!view) return std::unexpected(view.error());
        print_record(session.json(), to_record(*view));
        return {};
      });

  parser.verb("customer", "list", "lists customers").runs([&session]() -> Outcome<> {
    auto service = session.service();
    if (!service) return std::unexpected(service.error());
    auto views = control::list_customers(**service);
    if (!views) return std::unexpected(views.error());
    std::vector<Record> records;
    for (const auto& view : *views) records.push_back(to_record(view));
    print_list(session.json(), records);
    return {};
  });
}

}  // namespace sluice::cli
