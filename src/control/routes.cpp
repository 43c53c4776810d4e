// Channels, models and the routes between them.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sluice/control/url.hpp"
#include "fields.hpp"
#include "sluice/base/assert.hpp"
#include "sluice/control/catalog.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/control/secrets.hpp"
#include "transaction.hpp"

namespace sluice::control {
namespace {

constexpr std::array<std::string_view, 4> kFormats{"openai", "responses", "claude", "gemini"};
constexpr std::int64_t kMaxTokens = 1'000'000'000;

Outcome<> read_proxy(const Service& service, const std::optional<std::string>& text,
                     ledger::Channel& channel) {
  if (!text) return {};
  if (*text == "none" || text->empty()) {
    channel.proxy.clear();
    channel.proxy_credentials.clear();
    channel.proxy_fingerprint.clear();
    return {};
  }
  auto url = parse_url("proxy", *text);
  if (!url) return std::unexpected(url.error());
  if ((url->scheme != "http" && url->scheme != "socks5") || url->port == 0 || !url->path.empty()) {
    return problem(Errc::bad_value,
                   "proxy: must be http://host:port or socks5://host:port, or none");
  }
  CONTROL_TRY(check_reachable("proxy", url->host, service.allow_private));
  channel.proxy = to_string(*url);
  return {};
}

/// Sealing the same text twice gives different bytes: the fingerprint tells whether it is the same.
Outcome<> read_proxy_credentials(const Service& service, const std::optional<std::string>& text,
                                 ledger::Channel& channel) {
  if (!text) return {};
  if (*text == "none") {
    channel.proxy_credentials.clear();
    channel.proxy_fingerprint.clear();
    return {};
  }
  const std::size_t colon = text->find(':');
  const auto fits = [](std::size_t bytes) { return bytes >= 1 && bytes <= 255; };
  const bool printable =
      std::all_of(text->begin(), text->end(), [](char c) { return c >= ' ' && c != 0x7f; });
  if (colon == std::string::npos || !fits(colon) || !fits(text->size() - colon - 1) || !printable) {
    return problem(Errc::bad_value,
                   "proxy credentials: must be user:password, each 1 to 255 characters");
  }
  if (channel.proxy.empty())
    return problem(Errc::bad_value, "proxy credentials: the channel has no proxy");
  SLUICE_ASSERT(service.sealer != nullptr && service.hasher != nullptr);
  const std::string fingerprint = to_hex(service.hasher->hash(*text));
  if (fingerprint == channel.proxy_fingerprint) return {};
  channel.proxy_fingerprint = fingerprint;
  channel.proxy_credentials = service.sealer->seal(*text);
  return {};
}

Outcome<> apply_settings(Service& service, const ChannelSettings& settings,
                         ledger::Channel& channel) {
  if (settings.provider) {
    auto provider = service.ledger.catalog().provider(*settings.provider);
    if (!provider) {
      return std::unexpected(
          from_ledger(service, provider.error(), fmt::format("provider '{}'", *settings.provider)));
    }
    channel.provider_id = provider->id;
  }
  if (channel.provider_id == 0) return problem(Errc::bad_value, "channel: needs a provider");
  CONTROL_TRY(read_integer("priority", settings.priority, 0, 1000, channel.priority));
  CONTROL_TRY(read_integer("weight", settings.weight, 1, 1000, channel.weight));
  if (settings.multiplier) {
    auto multiplier = parse_thousandths("multiplier", *settings.multiplier, 0, 1'000'000);
    if (!multiplier) return std::unexpected(multiplier.error());
    channel.multiplier = *multiplier;
  }
  CONTROL_TRY(read_proxy(service, settings.proxy, channel));
  CONTROL_TRY(read_proxy_credentials(service, settings.proxy_credentials, channel));
  CONTROL_TRY(
      read_timeout_ms("connect-timeout", settings.connect_timeout, channel.connect_timeout_ms));
  CONTROL_TRY(read_timeout_ms("first-byte-timeout", settings.first_byte_timeout,
                              channel.first_byte_timeout_ms));
  CONTROL_TRY(read_timeout_ms("total-timeout", settings.total_timeout, channel.total_timeout_ms));
  read_flag(settings.enabled, channel.enabled);
  return {};
}

bool same(const ledger::Channel& a, const ledger::Channel& b) {
  return a.provider_id == b.provider_id && a.priority == b.priority && a.weight == b.weight &&
         a.multiplier == b.multiplier && a.proxy == b.proxy &&
         a.proxy_fingerprint == b.proxy_fingerprint &&
         a.connect_timeout_ms == b.connect_timeout_ms &&
         a.first_byte_timeout_ms == b.first_byte_timeout_ms &&
         a.total_timeout_ms == b.total_timeout_ms && a.enabled == b.enabled;
}

Outcome<> read_formats(const std::optional<std::vector<std::string>>& names, std::string& out) {
  if (!names) return {};
  for (const std::string& name : *names) {
    if (std::find(kFormats.begin(), kFormats.end(), name) == kFormats.end()) {
      return problem(Errc::bad_value, fmt::format("formats: '{}' must be one of {}", name,
                                                  fmt::join(kFormats, ", ")));
    }
  }
  out = join_list(*names);
  return {};
}

/// A name, in which `*` stands for any run of characters. Not all of it: such a model would answer
/// to every typo.
Outcome<> check_alias(const std::string& alias) {
  if (alias.find_first_not_of('*') == std::string::npos && !alias.empty())
    return problem(Errc::bad_value, fmt::format("alias '{}': must name something", alias));
  std::string plain = alias;
  std::ranges::replace(plain, '*', 'x');
  return check_name("model", plain);
}

Outcome<> apply_settings(const ModelSettings& settings, ledger::Model& model) {
  if (settings.aliases) {
    for (const std::string& alias : *settings.aliases) CONTROL_TRY(check_alias(alias));
    model.aliases = join_list(*settings.aliases);
  }
  if (settings.owner) {
    CONTROL_TRY(check_name("owner", *settings.owner));
    model.owner = *settings.owner;
  }
  CONTROL_TRY(read_formats(settings.formats, model.formats));
  CONTROL_TRY(
      read_integer("context-tokens", settings.context_tokens, 0, kMaxTokens, model.context_tokens));
  CONTROL_TRY(read_integer("max-output-tokens", settings.max_output_tokens, 0, kMaxTokens,
                           model.max_output_tokens));
  if (settings.input_margin) {
    auto margin = parse_thousandths("input-margin", *settings.input_margin, 1000, 100'000);
    if (!margin) return std::unexpected(margin.error());
    model.input_margin = *margin;
  }
  read_flag(settings.hidden_output, model.hidden_output);
  CONTROL_TRY(read_integer("hidden-tokens-per-s", settings.hidden_tokens_per_s, 1, 100'000,
                           model.hidden_tokens_per_s));
  CONTROL_TRY(read_timeout_ms("first-byte-timeout", settings.first_byte_timeout,
                              model.first_byte_timeout_ms));
  CONTROL_TRY(read_timeout_ms("between-tokens-timeout", settings.between_tokens_timeout,
                              model.between_tokens_timeout_ms));
  CONTROL_TRY(read_timeout_ms("first-token-timeout", settings.first_token_timeout,
                              model.first_token_timeout_ms));
  CONTROL_TRY(read_timeout_ms("total-timeout", settings.total_timeout, model.total_timeout_ms));
  read_flag(settings.retry_after_send, model.retry_after_send);
  read_flag(settings.listed, model.listed);
  read_flag(settings.enabled, model.enabled);
  return {};
}

bool same(const ledger::Model& a, const ledger::Model& b) {
  return a.aliases == b.aliases && a.owner == b.owner && a.formats == b.formats &&
         a.context_tokens == b.context_tokens && a.max_output_tokens == b.max_output_tokens &&
         a.input_margin == b.input_margin && a.hidden_output == b.hidden_output &&
         a.hidden_tokens_per_s == b.hidden_tokens_per_s &&
         a.first_byte_timeout_ms == b.first_byte_timeout_ms &&
         a.between_tokens_timeout_ms == b.between_tokens_timeout_ms &&
         a.first_token_timeout_ms == b.first_token_timeout_ms &&
         a.total_timeout_ms == b.total_timeout_ms && a.retry_after_send == b.retry_after_send &&
         a.listed == b.listed && a.enabled == b.enabled;
}

Outcome<std::vector<ledger::Route>> to_routes(Service& service, ledger::Id model_id,
                                              const std::vector<RouteSettings>& settings) {
  std::vector<ledger::Route> routes;
  for (const RouteSettings& item : settings) {
    auto channel = service.ledger.catalog().channel(item.channel);
    if (!channel)
      return std::unexpected(
          from_ledger(service, channel.error(), fmt::format("channel '{}'", item.channel)));
    for (const ledger::Route& other : routes) {
      if (other.channel_id == channel->id) {
        return problem(Errc::conflict,
                       fmt::format("channel '{}': is routed to twice", item.channel));
      }
    }
    ledger::Route route{model_id, channel->id, item.upstream_model, -1, -1, 0};
    const bool as_asked = item.upstream_model == "*";
    if (!item.upstream_model.empty() && !as_asked)
      CONTROL_TRY(check_name("model", item.upstream_model));
    CONTROL_TRY(read_integer("priority", item.priority, -1, 1000, route.priority));
    CONTROL_TRY(read_integer("weight", item.weight, -1, 1000, route.weight));
    if (route.weight == 0) return problem(Errc::bad_value, "weight: must be 1 to 1000");
    CONTROL_TRY(read_integer("max-output-tokens", item.max_output_tokens, 0, kMaxTokens,
                             route.max_output_tokens));
    routes.push_back(std::move(route));
  }
  return routes;
}

/// Names and aliases share one space.
Outcome<> check_unambiguous(Service& service, const ledger::Model& model) {
  auto models = service.ledger.catalog().models();
  if (!models) return std::unexpected(from_ledger(service, models.error(), "models"));
  std::vector<std::string> mine = split_list(model.aliases);
  mine.push_back(model.name);
  for (const ledger::Model& other : *models) {
    if (other.name == model.name) continue;
    std::vector<std::string> theirs = split_list(other.aliases);
    theirs.push_back(other.name);
    for (const std::string& name : mine) {
      if (std::find(theirs.begin(), theirs.end(), name) != theirs.end()) {
        return problem(Errc::conflict, fmt::format("model '{}': model '{}' answers to '{}' already",
                                                   model.name, other.name, name));
      }
    }
  }
  auto groups = service.ledger.catalog().route_groups();
  if (!groups) return std::unexpected(from_ledger(service, groups.error(), "route groups"));
  for (const ledger::RouteGroup& group : *groups) {
    if (std::find(mine.begin(), mine.end(), group.name) != mine.end()) {
      return problem(Errc::conflict, fmt::format("model '{}': '{}' is the name of a route group",
                                                 model.name, group.name));
    }
  }
  return {};
}

/// The group's models exist, and no model answers to its name.
Outcome<> check_group(Service& service, const ledger::RouteGroup& group) {
  auto models = service.ledger.catalog().models();
  if (!models) return std::unexpected(from_ledger(service, models.error(), "models"));
  const std::vector<std::string> members = split_list(group.models);
  if (members.empty())
    return problem(Errc::bad_value, fmt::format("route group '{}': needs models", group.name));
  for (const std::string& name : members) {
    if (std::ranges::find(*models, name, &ledger::Model::name) == models->end()) {
      return problem(Errc::not_found,
                     fmt::format("route group '{}': model '{}': not found", group.name, name));
    }
  }
  for (const ledger::Model& model : *models) {
    const std::vector<std::string> aliases = split_list(model.aliases);
    if (model.name == group.name ||
        std::find(aliases.begin(), aliases.end(), group.name) != aliases.end()) {
      return problem(Errc::conflict, fmt::format("route group '{}': model '{}' answers to it",
                                                 group.name, model.name));
    }
  }
  return {};
}

}  // namespace

Outcome<Change> put_route_group(Service& service, std::string_view name,
                                const RouteGroupSettings& settings) {
  CONTROL_TRY(check_name("model", name));
  Change change = Change::none;
  const std::string what = fmt::format("route group '{}'", name);
  CONTROL_TRY(in_transaction(service, what, [&]() -> Outcome<> {
    auto found = service.ledger.catalog().route_group(name);
    if (!found && found.error().code != Errc::not_found)
      return std::unexpected(from_ledger(service, found.error(), what));
    ledger::RouteGroup group = found ? *found : ledger::RouteGroup{};
    group.name = name;
    if (!found) group.created_ns = service.clock.realtime_ns();
    if (settings.models) group.models = join_list(*settings.models);
    read_flag(settings.listed, group.listed);
    read_flag(settings.enabled, group.enabled);
    CONTROL_TRY(check_group(service, group));
    if (found && found->models == group.models && found->listed == group.listed &&
        found->enabled == group.enabled) {
      return {};
    }
    change = found ? Change::updated : Change::created;
    if (auto put = service.ledger.catalog().put(group); !put)
      return std::unexpected(from_ledger(service, put.error(), what));
    return note(service, found ? "route-group set" : "route-group add", name, group.models);
  }));
  return change;
}

Outcome<Change> put_channel(Service& service, std::string_view name,
                            const ChannelSettings& settings) {
  CONTROL_TRY(check_name("channel", name));
  Change change = Change::none;
  const std::string what = fmt::format("channel '{}'", name);
  CONTROL_TRY(in_transaction(service, what, [&]() -> Outcome<> {
    auto found = service.ledger.catalog().channel(name);
    if (!found && found.error().code != Errc::not_found)
      return std::unexpected(from_ledger(service, found.error(), what));
    ledger::Channel channel = found ? *found : ledger::Channel{};
    channel.name = name;
    CONTROL_TRY(apply_settings(service, settings, channel));
    if (found && same(channel, *found)) return {};
    change = found ? Change::updated : Change::created;
    if (auto put = service.ledger.catalog().put(channel); !put)
      return std::unexpected(from_ledger(service, put.error(), what));
    return note(service, found ? "channel set" : "channel add", name, "");
  }));
  return change;
}

Outcome<Change> put_model(Service& service, std::string_view name, const ModelSettings& settings) {
  CONTROL_TRY(check_name("model", name));
  Change change = Change::none;
  const std::string what = fmt::format("model '{}'", name);
  CONTROL_TRY(in_transaction(service, what, [&]() -> Outcome<> {
    auto& catalog = service.ledger.catalog();
    auto found = catalog.model(name);
    if (!found && found.error().code != Errc::not_found)
      return std::unexpected(from_ledger(service, found.error(), what));
    ledger::Model model = found ? *found : ledger::Model{};
    model.name = name;
    if (!found) model.created_ns = service.clock.realtime_ns();
    CONTROL_TRY(apply_settings(settings, model));
    CONTROL_TRY(check_unambiguous(service, model));
    if (!found || !same(model, *found)) {
      change = found ? Change::updated : Change::created;
      if (auto put = catalog.put(model); !put)
        return std::unexpected(from_ledger(service, put.error(), what));
    }
    if (settings.routes) {
      auto routes = to_routes(service, model.id, *settings.routes);
      if (!routes) return std::unexpected(routes.error());
      auto before = catalog.routes(model.id);
      if (!before) return std::unexpected(from_ledger(service, before.error(), what));
      if (*routes != *before) {
        if (change == Change::none) change = Change::updated;
        if (auto put = catalog.put_routes(model.id, *routes); !put)
          return std::unexpected(from_ledger(service, put.error(), what));
      }
    }
    if (change == Change::none) return {};
    return note(service, found ? "model set" : "model add", name, "");
  }));
  return change;
}

}  // namespace sluice::control
