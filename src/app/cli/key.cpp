#include "sluice/base/text_units.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/control/keys.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

const char* credentials_text(ledger::Credentials credentials) {
  switch (credentials) {
    case ledger::Credentials::pass:
      return "pass";
    case ledger::Credentials::mask:
      return "mask";
    case ledger::Credentials::refuse:
      return "refuse";
  }
  return "unknown";
}

/// Secrets that the key had before and that are still good, by their ends.
std::string former_text(const std::vector<ledger::FormerSecret>& secrets, TimeNs now_ns) {
  std::string text;
  for (const ledger::FormerSecret& secret : secrets) {
    if (secret.expires_ns <= now_ns) continue;
    if (!text.empty()) text += ", ";
    text += secret.last_chars + " until " + format_utc(secret.expires_ns);
  }
  return text;
}

Record to_record(const std::string& customer, const ledger::ApiKey& key) {
  const ledger::KeyPolicy& policy = key.policy;
  return {
      {"id", key.id},
      {"customer", customer},
      {"name", key.name},
      {"ends_in", key.last_chars},
      {"pepper", key.pepper},
      {"enabled", key.enabled},
      {"models", policy.models},
      {"expires", policy.expires_ns == 0 ? "never" : format_utc(policy.expires_ns)},
      {"budget_total_usd", budget_text(policy.budget_total)},
      {"budget_day_usd", budget_text(policy.budget_day)},
      {"budget_month_usd", budget_text(policy.budget_month)},
      {"max_in_flight", count_text(policy.max_in_flight)},
      {"requests_per_minute", count_text(policy.requests_per_minute)},
      {"tokens_per_minute", count_text(policy.tokens_per_minute)},
      {"zone", policy.zone},
      {"on_disconnect", policy.on_disconnect == ledger::OnDisconnect::drain ? "drain" : "cancel"},
      {"clamp", policy.clamp},
      {"allow", policy.cidr_allow},
      {"deny", policy.cidr_deny},
      {"credentials", credentials_text(policy.credentials)}};
}

struct Arguments {
  std::string customer;
  std::string name;
  std::string secret;
  control::KeySettings settings;
};

void add_options(Verb& verb, Arguments& arguments) {
  control::KeySettings& settings = arguments.settings;
  verb.option("--customer", "whose key", arguments.customer, true)
      .option("--name", "name of the key, unique for the customer", arguments.name, true)
      .option("--models", "comma-separated names and patterns: 'gpt-*,o3'", settings.models)
      .option("--expires", "30d, 2027-01-01 or never", settings.expires)
      .option("--budget-total", "USD, or none", settings.budget_total)
      .option("--budget-day", "USD a day, or none", settings.budget_day)
      .option("--budget-month", "USD a month, or none", settings.budget_month)
      .option("--max-in-flight", "requests at once, or none", settings.max_in_flight)
      .option("--requests-per-minute", "or none", settings.requests_per_minute)
      .option("--tokens-per-minute", "or none", settings.tokens_per_minute)
      .option("--zone", "IANA time zone in which days and months begin", settings.zone)
      .option("--allow", "networks that may use it: 10.0.0.0/8,2001:db8::/32", settings.cidr_allow)
      .option("--deny", "networks that may not", settings.cidr_deny)
      .option("--on-disconnect", "cancel or drain: what happens upstream when the client leaves",
              settings.on_disconnect)
      .option("--drain-time", "cap of drain: 60s", settings.drain_time)
      .option("--drain-bytes", "cap of drain: 1MiB", settings.drain_bytes)
      .option("--drain-cost", "cap of drain: USD", settings.drain_cost)
      .option("--on-revoke", "finish or cut: what happens to streams when it is disabled",
              settings.on_revoke)
      .option("--excess-max", "USD that the wallet pays above a hold; 0 = one slice",
              settings.excess_max)
      .option("--credentials", "pass, mask or refuse credentials in prompts", settings.credentials)
      .toggle("clamp", "lower the output cap to what the balance can pay", settings.clamp)
      .toggle("may-pin", "may choose a channel", settings.may_pin)
      .toggle("reserve-context", "may refer to input that is not in the body",
              settings.reserve_context);
}

// Printed before the wait: the secret is in force, and nobody can show it again.
Outcome<> show_once(Session& session, const Arguments& arguments, const control::NewKey& made) {
  Record record = to_record(arguments.customer, made.key);
  record.insert(record.begin(), {"key", made.secret});
  print_record(session.json(), record);
  std::fflush(stdout);
  return session.wait_visible();
}

Outcome<> add_key(Session& session, const Arguments& arguments) {
  auto service = session.service_with_secrets();
  if (!service) return std::unexpected(service.error());
  auto made = control::add_key(**service, arguments.customer, arguments.name, arguments.settings,
                               arguments.secret);
  if (!made) return std::unexpected(made.error());
  return show_once(session, arguments, *made);
}

Outcome<> rotate_key(Session& session, const Arguments& arguments, const std::string& overlap) {
  auto service = session.service_with_secrets();
  if (!service) return std::unexpected(service.error());
  auto made =
      control::rotate_key(**service, arguments.customer, arguments.name, overlap, arguments.secret);
  if (!made) return std::unexpected(made.error());
  return show_once(session, arguments, *made);
}

Outcome<> set_key(Session& session, const Arguments& arguments) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  bool changed = false;
  auto key =
      control::set_key(**service, arguments.customer, arguments.name, arguments.settings, changed);
  if (!key) return std::unexpected(key.error());
  if (auto visible = session.wait_visible(); !visible) return visible;
  print_record(session.json(), to_record(arguments.customer, *key));
  return {};
}

Outcome<> list_keys(Session& session, const std::string& customer) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto customers = control::list_customers(**service);
  if (!customers) return std::unexpected(customers.error());
  auto keys = control::list_keys(**service, customer);
  if (!keys) return std::unexpected(keys.error());
  std::vector<Record> records;
  for (const ledger::ApiKey& key : *keys) {
    std::string owner;
    for (const auto& view : *customers) {
      if (view.wallet.id == key.wallet_id) owner = view.customer.name;
    }
    records.push_back(to_record(owner, key));
  }
  print_list(session.json(), records);
  return {};
}

}  // namespace

void add_key_verbs(Parser& parser, Session& session) {
  auto added = std::make_shared<Arguments>();
  Verb& add = parser.verb("key", "add", "makes a key and prints it, this once");
  add_options(add, *added);
  add.option("--secret", "use this key instead of a random one (for imports and tests)",
             added->secret);
  add.runs([&session, added] { return add_key(session, *added); });

  auto changed = std::make_shared<Arguments>();
  Verb& set = parser.verb("key", "set", "changes what is given");
  add_options(set, *changed);
  set.toggle("enable", "may it be used", changed->settings.enabled);
  set.runs([&session, changed] { return set_key(session, *changed); });

  auto customer = std::make_shared<std::string>();
  parser.verb("key", "list", "lists keys")
      .option("--customer", "of this customer only", *customer)
      .runs([&session, customer] { return list_keys(session, *customer); });

  auto shown = std::make_shared<Arguments>();
  parser.verb("key", "show", "shows a key's policy, never the key")
      .option("--customer", "whose key", shown->customer, true)
      .option("--name", "name of the key", shown->name, true)
      .runs([&session, shown]() -> Outcome<> {
        auto service = session.service();
        if (!service) return std::unexpected(service.error());
        auto key = control::find_key(**service, shown->customer, shown->name);
        if (!key) return std::unexpected(key.error());
        auto former = (*service)->ledger.keys().former_of(key->id);
        if (!former) return std::unexpected(control::from_ledger(**service, former.error(), "key"));
        Record record = to_record(shown->customer, *key);
        record.emplace_back("also_valid", former_text(*former, (*service)->clock.realtime_ns()));
        print_record(session.json(), record);
        return {};
      });

  auto rotated = std::make_shared<Arguments>();
  auto overlap = std::make_shared<std::string>("24h");
  parser.verb("key", "rotate", "gives a key another secret and prints it, this once")
      .option("--customer", "whose key", rotated->customer, true)
      .option("--name", "name of the key", rotated->name, true)
      .option("--overlap", "how long the one that it has stays good: 24h, or 0", *overlap)
      .option("--secret", "use this one instead of a random one", rotated->secret)
      .runs([&session, rotated, overlap] { return rotate_key(session, *rotated, *overlap); });
}

}  // namespace sluice::cli
