#include "sluice/control/catalog.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

struct Arguments {
  std::string name;
  control::ModelSettings settings;
  std::vector<std::string> routes;
  std::vector<std::string> aliases;
  std::vector<std::string> formats;
};

Outcome<> list(Session& session, const std::string& only) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto snapshot = (*service)->ledger.catalog().snapshot();
  if (!snapshot)
    return std::unexpected(control::from_ledger(**service, snapshot.error(), "models"));
  std::vector<Record> records;
  for (const ledger::Model& model : snapshot->models) {
    if (!only.empty() && model.name != only) continue;
    std::string routes;
    for (const ledger::Route& route : snapshot->routes) {
      if (route.model_id != model.id) continue;
      for (const ledger::Channel& channel : snapshot->channels) {
        if (channel.id != route.channel_id) continue;
        routes += (routes.empty() ? "" : ",") + channel.name;
        if (!route.upstream_model.empty()) routes += "=" + route.upstream_model;
      }
    }
    records.push_back({{"id", model.id},
                       {"name", model.name},
                       {"aliases", model.aliases},
                       {"formats", model.formats.empty() ? "all" : model.formats},
                       {"context_tokens", model.context_tokens},
                       {"max_output_tokens", model.max_output_tokens},
                       {"hidden_output", model.hidden_output},
                       {"enabled", model.enabled},
                       {"routes", routes}});
  }
  if (only.empty()) {
    print_list(session.json(), records);
  } else {
    print_record(session.json(), records.at(0));
  }
  return {};
}

/// "channel" or "channel=upstream-model".
control::RouteSettings to_route(const std::string& text) {
  const std::size_t equals = text.find('=');
  return {text.substr(0, equals),
          equals == std::string::npos ? std::string() : text.substr(equals + 1), -1, -1, 0};
}

Outcome<> put(Session& session, Arguments& arguments, bool must_be_new) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  const bool known = (*service)->ledger.catalog().model(arguments.name).has_value();
  if (known == must_be_new) {
    return problem(known ? Errc::conflict : Errc::not_found,
                   "model '" + arguments.name + (known ? "': exists already" : "': not found"));
  }
  if (!arguments.aliases.empty()) arguments.settings.aliases = arguments.aliases;
  if (!arguments.formats.empty()) arguments.settings.formats = arguments.formats;
  if (!arguments.routes.empty()) {
    std::vector<control::RouteSettings> routes;
    for (const std::string& text : arguments.routes) routes.push_back(to_route(text));
    arguments.settings.routes = std::move(routes);
  }
  auto change = control::put_model(**service, arguments.name, arguments.settings);
  if (!change) return std::unexpected(change.error());
  if (auto visible = session.wait_visible(); !visible) return visible;
  return list(session, arguments.name);
}

}  // namespace

void add_model_verbs(Parser& parser, Session& session) {
  for (const bool add : {true, false}) {
    auto arguments = std::make_shared<Arguments>();
    control::ModelSettings& settings = arguments->settings;
    Verb& verb = parser.verb("model", add ? "add" : "set",
                             add ? "creates a model" : "changes what is given");
    verb.argument("name", "public name", arguments->name)
        .option("--route",
                "CHANNEL or CHANNEL=UPSTREAM-MODEL, in order of preference; may be repeated",
                arguments->routes)
        .option("--alias", "further name; may be repeated", arguments->aliases)
        .option(
            "--format",
            "client format: openai, responses, claude, gemini; may be repeated; none given = all",
            arguments->formats)
        .option("--owner", "owned_by in model lists", settings.owner)
        .option("--context-tokens", "0 = not known", settings.context_tokens)
        .option("--max-output-tokens", "0 = not known", settings.max_output_tokens)
        .option("--input-margin", "factor on the input estimate, such as 1.3",
                settings.input_margin)
        .option("--hidden-tokens-per-s", "accrual of hidden output", settings.hidden_tokens_per_s)
        .option("--first-byte-timeout", "120s, or none for the default",
                settings.first_byte_timeout)
        .option("--between-tokens-timeout", "600s, or none for the default",
                settings.between_tokens_timeout)
        .option("--first-token-timeout", "of a stream, from its head: 120s, or none",
                settings.first_token_timeout)
        .option("--total-timeout", "1h, or none for the default", settings.total_timeout)
        .toggle("hidden-output", "reasons without streaming it", settings.hidden_output)
        .toggle("retry-after-send", "may fail over after the request was sent",
                settings.retry_after_send)
        .toggle("listed", "shown in model lists", settings.listed)
        .toggle("enable", "may it be called", settings.enabled)
        .runs([&session, arguments, add] { return put(session, *arguments, add); });
  }
  parser.verb("model", "list", "lists models and their routes").runs([&session] {
    return list(session, {});
  });
}

}  // namespace sluice::cli
