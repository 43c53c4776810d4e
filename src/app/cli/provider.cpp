#include <cstdio>
#include <cstdlib>

#include "sluice/base/text_units.hpp"
#include "sluice/control/catalog.hpp"
#include "sluice/control/offers.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

struct Arguments {
  std::string name;
  control::ProviderSettings settings;
  std::vector<std::string> headers;
  std::vector<std::string> quirks;
  std::vector<std::string> errors;
  std::string key_name = "default";
  std::string key_env;
  bool key_stdin = false;
  std::optional<bool> key_enabled;
};

/// The provider's key from a variable or from standard input, never from the command line, which
/// others can see.
Outcome<std::string> read_key(const Arguments& arguments) {
  if (!arguments.key_env.empty()) {
    const char* value = std::getenv(arguments.key_env.c_str());
    if (value == nullptr || *value == '\0')
      return problem(Errc::bad_value, "key-env: the variable is not set");
    return std::string(value);
  }
  std::string key;
  for (int c = 0;
       arguments.key_stdin && (c = std::getchar()) != EOF && c != '\n' && key.size() < 8192;) {
    key += static_cast<char>(c);
  }
  if (arguments.key_stdin && key.empty())
    return problem(Errc::bad_value, "key-stdin: standard input is empty");
  return key;
}

Outcome<> put(Session& session, Arguments& arguments, bool must_be_new) {
  auto secret = read_key(arguments);
  if (!secret) return std::unexpected(secret.error());
  auto service = secret->empty() ? session.service() : session.service_with_secrets();
  if (!service) return std::unexpected(service.error());
  if (!arguments.headers.empty()) arguments.settings.extra_headers = arguments.headers;
  if (!arguments.quirks.empty()) arguments.settings.quirks = arguments.quirks;
  if (!arguments.errors.empty()) {
    auto& errors = arguments.settings.errors.emplace();
    for (const std::string& pair : arguments.errors) {
      const std::size_t mark = pair.rfind('=');
      errors.emplace_back(pair.substr(0, mark),
                          mark == std::string::npos ? "" : pair.substr(mark + 1));
    }
  }
  const bool known = (*service)->ledger.catalog().provider(arguments.name).has_value();
  if (known == must_be_new) {
    return problem(known ? Errc::conflict : Errc::not_found,
                   "provider '" + arguments.name + (known ? "': exists already" : "': not found"));
  }
  auto change = control::put_provider(**service, arguments.name, arguments.settings);
  if (!change) return std::unexpected(change.error());
  if (!secret->empty() || arguments.key_enabled) {
    auto key = control::put_provider_key(**service, arguments.name, arguments.key_name, *secret,
                                         arguments.key_enabled);
    if (!key) return std::unexpected(key.error());
  }
  if (auto visible = session.wait_visible(); !visible) return visible;
  auto provider = (*service)->ledger.catalog().provider(arguments.name);
  if (!provider)
    return std::unexpected(control::from_ledger(**service, provider.error(), arguments.name));
  print_record(session.json(), {{"id", provider->id},
                                {"name", provider->name},
                                {"dialect", provider->dialect},
                                {"base_url", provider->base_url},
                                {"auth", provider->auth},
                                {"quirks", provider->quirks},
                                {"enabled", provider->enabled}});
  return {};
}

Outcome<> list(Session& session) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto snapshot = (*service)->ledger.catalog().snapshot();
  if (!snapshot)
    return std::unexpected(control::from_ledger(**service, snapshot.error(), "providers"));
  std::vector<Record> records;
  for (const ledger::Provider& provider : snapshot->providers) {
    std::string keys;
    for (const ledger::ProviderKey& key : snapshot->provider_keys) {
      if (key.provider_id != provider.id) continue;
      keys += (keys.empty() ? "" : ",") + key.name + ":" + key.last_chars +
              (key.enabled ? "" : "(off)");
    }
    records.push_back({{"id", provider.id},
                       {"name", provider.name},
                       {"dialect", provider.dialect},
                       {"base_url", provider.base_url},
                       {"auth", provider.auth},
                       {"quirks", provider.quirks},
                       {"enabled", provider.enabled},
                       {"keys", keys}});
  }
  print_list(session.json(), records);
  return {};
}

/// What it said last that it offers, beside the routes that lead there.
Outcome<> models(Session& session, const std::string& name) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  ledger::Ledger& ledger = (*service)->ledger;
  const auto failed = [&](const Error& error) {
    return std::unexpected(control::from_ledger(**service, error, "provider '" + name + "'"));
  };
  const auto provider = ledger.catalog().provider(name);
  if (!provider) return failed(provider.error());
  const auto offer = ledger.offers().of(provider->id);
  if (!offer) return failed(offer.error());
  const auto snapshot = ledger.catalog().snapshot();
  if (!snapshot) return failed(snapshot.error());
  const bool asked = offer->at_ns != 0;
  std::vector<Record> records;
  for (const control::OfferRow& row : control::compare_offer(*snapshot, *offer)) {
    std::string mapped;
    for (const std::string& model : row.models) mapped += (mapped.empty() ? "" : ",") + model;
    records.push_back({{"name", row.name},
                       {"offered", asked ? Field(row.offered) : Field(std::string())},
                       {"since", row.offered ? format_utc(row.since_ns) : ""},
                       {"models", mapped}});
  }
  print_record_with(session.json(),
                    {{"provider", name},
                     {"asked_at", asked ? format_utc(offer->at_ns) : ""},
                     {"complete", offer->complete}},
                    "models", records);
  return {};
}

}  // namespace

void add_provider_verbs(Parser& parser, Session& session) {
  for (const bool add : {true, false}) {
    auto arguments = std::make_shared<Arguments>();
    Verb& verb = parser.verb("provider", add ? "add" : "set",
                             add ? "creates a provider" : "changes what is given");
    verb.argument("name", "provider", arguments->name)
        .option("--dialect", "openai, responses, claude or gemini", arguments->settings.dialect)
        .option("--base-url", "https://host[:port][/path]", arguments->settings.base_url)
        .option("--auth", "none, bearer, x-api-key, x-goog-api-key, api-key or query-key",
                arguments->settings.auth)
        .option("--header", "\"Name: value\" sent with each request; may be repeated",
                arguments->headers)
        .option("--quirk", "how it departs from its format; may be repeated", arguments->quirks)
        .option("--error", "CODE=CLASS, what one of its error codes means; may be repeated",
                arguments->errors)
        .option("--key-name", "name of the provider's key", arguments->key_name)
        .option("--key-env", "variable that holds the provider's key", arguments->key_env)
        .flag("--key-stdin", "read the provider's key from standard input", arguments->key_stdin)
        .toggle("key-enable", "may the key be used", arguments->key_enabled)
        .toggle("enable", "may it be used", arguments->settings.enabled)
        .runs([&session, arguments, add] { return put(session, *arguments, add); });
  }
  parser.verb("provider", "list", "lists providers and the ends of their keys").runs([&session] {
    return list(session);
  });
  auto name = std::make_shared<std::string>();
  parser.verb("provider", "models", "what it offers, and which models here lead to it")
      .argument("name", "provider", *name)
      .runs([&session, name] { return models(session, *name); });
}

}  // namespace sluice::cli
