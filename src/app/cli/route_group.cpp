#include "sluice/control/catalog.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

struct Arguments {
  std::string name;
  std::vector<std::string> models;
  control::RouteGroupSettings settings;
};

Outcome<> list(Session& session, const std::string& only) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto groups = (*service)->ledger.catalog().route_groups();
  if (!groups)
    return std::unexpected(control::from_ledger(**service, groups.error(), "route groups"));
  std::vector<Record> records;
  for (const ledger::RouteGroup& group : *groups) {
    if (!only.empty() && group.name != only) continue;
    records.push_back({{"id", group.id},
                       {"name", group.name},
                       {"models", group.models},
                       {"listed", group.listed},
                       {"enabled", group.enabled}});
  }
  if (only.empty()) {
    print_list(session.json(), records);
  } else {
    print_record(session.json(), records.at(0));
  }
  return {};
}

Outcome<> put(Session& session, Arguments& arguments, bool must_be_new) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  const bool known = (*service)->ledger.catalog().route_group(arguments.name).has_value();
  if (known == must_be_new) {
    return problem(
        known ? Errc::conflict : Errc::not_found,
        "route group '" + arguments.name + (known ? "': exists already" : "': not found"));
  }
  if (!arguments.models.empty()) arguments.settings.models = arguments.models;
  auto change = control::put_route_group(**service, arguments.name, arguments.settings);
  if (!change) return std::unexpected(change.error());
  if (auto visible = session.wait_visible(); !visible) return visible;
  return list(session, arguments.name);
}

}  // namespace

void add_route_group_verbs(Parser& parser, Session& session) {
  for (const bool add : {true, false}) {
    auto arguments = std::make_shared<Arguments>();
    Verb& verb = parser.verb("route-group", add ? "add" : "set",
                             add ? "gives several models one name" : "changes what is given");
    verb.argument("name", "public name", arguments->name)
        .option("--model", "in order of preference; may be repeated", arguments->models)
        .toggle("listed", "shown in model lists", arguments->settings.listed)
        .toggle("enable", "may it be called", arguments->settings.enabled)
        .runs([&session, arguments, add] { return put(session, *arguments, add); });
  }
  parser.verb("route-group", "list", "lists route groups and their models").runs([&session] {
    return list(session, {});
  });
}

}  // namespace sluice::cli
