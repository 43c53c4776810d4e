#include <cstdlib>

#include "sluice/control/catalog.hpp"
#include "sluice/control/offers.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

struct Arguments {
  std::string name;
  control::ChannelSettings settings;
  std::string credentials_env;
};

Record to_record(const ledger::Channel& channel, const std::string& provider,
                 const std::string& unlisted) {
  return {{"id", channel.id},         {"name", channel.name},
          {"provider", provider},     {"priority", channel.priority},
          {"weight", channel.weight}, {"multiplier_thousandths", channel.multiplier},
          {"proxy", channel.proxy},   {"enabled", channel.enabled},
          {"unlisted", unlisted}};
}

Outcome<> list(Session& session, const std::string& only) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto snapshot = (*service)->ledger.catalog().snapshot();
  if (!snapshot)
    return std::unexpected(control::from_ledger(**service, snapshot.error(), "channels"));
  auto offers = (*service)->ledger.offers().all();
  if (!offers) return std::unexpected(control::from_ledger(**service, offers.error(), "channels"));
  const auto missing = control::unlisted_routes(*snapshot, *offers);
  std::vector<Record> records;
  for (const ledger::Channel& channel : snapshot->channels) {
    if (!only.empty() && channel.name != only) continue;
    std::string owner;
    for (const ledger::Provider& provider : snapshot->providers) {
      if (provider.id == channel.provider_id) owner = provider.name;
    }
    std::string unlisted;
    for (const control::UnlistedRoute& route : missing) {
      if (route.channel != channel.name) continue;
      unlisted += (unlisted.empty() ? "" : ",") + route.model + "=" + route.upstream_model;
    }
    records.push_back(to_record(channel, owner, unlisted));
  }
  if (only.empty()) {
    print_list(session.json(), records);
  } else {
    print_record(session.json(), records.at(0));
  }
  return {};
}

Outcome<> put(Session& session, const Arguments& arguments, bool must_be_new) {
  control::ChannelSettings settings = arguments.settings;
  const bool secret = !arguments.credentials_env.empty();
  if (secret) {
    // Never from the command line, which others can see.
    const char* value = std::getenv(arguments.credentials_env.c_str());
    if (value == nullptr || *value == '\0')
      return problem(Errc::bad_value, "proxy-credentials-env: the variable is not set");
    settings.proxy_credentials = value;
  }
  auto service = secret ? session.service_with_secrets() : session.service();
  if (!service) return std::unexpected(service.error());
  const bool known = (*service)->ledger.catalog().channel(arguments.name).has_value();
  if (known == must_be_new) {
    return problem(known ? Errc::conflict : Errc::not_found,
                   "channel '" + arguments.name + (known ? "': exists already" : "': not found"));
  }
  auto change = control::put_channel(**service, arguments.name, settings);
  if (!change) return std::unexpected(change.error());
  if (auto visible = session.wait_visible(); !visible) return visible;
  return list(session, arguments.name);
}

}  // namespace

void add_channel_verbs(Parser& parser, Session& session) {
  for (const bool add : {true, false}) {
    auto arguments = std::make_shared<Arguments>();
    Verb& verb = parser.verb("channel", add ? "add" : "set",
                             add ? "creates a way to a provider" : "changes what is given");
    verb.argument("name", "channel", arguments->name)
        .option("--provider", "provider", arguments->settings.provider)
        .option("--priority", "0 to 1000, smaller is tried first", arguments->settings.priority)
        .option("--weight", "share among equals, 1 to 1000", arguments->settings.weight)
        .option("--multiplier", "cost against list price, such as 0.85",
                arguments->settings.multiplier)
        .option("--proxy", "http://host:port, socks5://host:port or none",
                arguments->settings.proxy)
        .option("--proxy-credentials-env", "variable that holds the proxy's user:password",
                arguments->credentials_env)
        .option("--connect-timeout", "5s", arguments->settings.connect_timeout)
        .option("--first-byte-timeout", "120s", arguments->settings.first_byte_timeout)
        .option("--total-timeout", "1h", arguments->settings.total_timeout)
        .toggle("enable", "may it be used", arguments->settings.enabled)
        .runs([&session, arguments, add] { return put(session, *arguments, add); });
  }
  parser.verb("channel", "list", "lists channels").runs([&session] { return list(session, {}); });
}

}  // namespace sluice::cli
