#include "catalog_spec.hpp"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "endpoint.hpp"
#include "format_names.hpp"
#include "sluice/base/ip_address.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::int64_t kDay = 86'400;

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    if (comma != 0) parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return parts;
}

std::optional<state::Auth> auth_of(std::string_view name) {
  constexpr std::string_view kNames[] = {"none",           "bearer",  "x-api-key",
                                         "x-goog-api-key", "api-key", "query-key"};
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<state::Auth>(i);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> quirks_of(std::string_view names) {
  constexpr std::uint64_t kBits[] = {state::kQuirkReasoningOutside, state::kQuirkNoStreamOptions,
                                     state::kQuirkCapIsMaxTokens};
  static_assert(std::size(kBits) == ledger::kQuirkNames.size());
  std::uint64_t bits = 0;
  for (const std::string& name : split(names)) {
    const auto known = std::ranges::find(ledger::kQuirkNames, name);
    if (known == ledger::kQuirkNames.end()) return std::nullopt;
    bits |= kBits[known - ledger::kQuirkNames.begin()];
  }
  return bits;
}

class Planner {
 public:
  Planner(const ledger::CatalogSnapshot& snapshot, const CatalogInputs& inputs, ZoneTable& zones)
      : snapshot_(snapshot), inputs_(inputs), zones_(zones) {}

  CatalogPlan plan() {
    plan_.spec.generation = inputs_.generation;
    for (const ledger::Channel& channel : snapshot_.channels) add_channel(channel);
    for (const ledger::Model& model : snapshot_.models) models_.emplace(model.id, &model);
    add_prices();
    for (const ledger::Model& model : snapshot_.models) taken_names_.insert(model.name);
    for (const ledger::Model& model : snapshot_.models) add_model(model);
    for (const ledger::RouteGroup& group : snapshot_.route_groups) add_route_group(group);
    add_groups();
    add_texts();
    std::ranges::sort(plan_.hosts);
    const auto [last, end] = std::ranges::unique(plan_.hosts);
    plan_.hosts.erase(last, end);
    return std::move(plan_);
  }

 private:
  /// Prices that a model has now and gets next.
  struct InForce {
    std::uint64_t current = 0;
    std::uint64_t next = 0;
  };

  void complain(std::string text) { plan_.complaints.push_back(std::move(text)); }
  void add_channel(const ledger::Channel& channel);
  bool set_endpoints(const ledger::Channel& channel, const ledger::Provider& provider,
                     state::ChannelSpec& spec);
  void add_prices();
  void add_prices_of(std::span<const ledger::Price> prices);
  bool add_price(const ledger::Price& price);
  void add_model(const ledger::Model& model);
  void add_candidates(const ledger::Model& model, state::ModelSpec& spec);
  void add_route_group(const ledger::RouteGroup& group);
  void add_groups();
  void add_texts();
  void add_cidr_set(const ledger::NumberedText& text);

  const ledger::CatalogSnapshot& snapshot_;
  const CatalogInputs& inputs_;
  ZoneTable& zones_;
  CatalogPlan plan_;
  std::map<ledger::Id, const ledger::Channel*> channels_;  ///< those that could be used
  std::map<ledger::Id, const ledger::Model*> models_;
  std::map<ledger::Id, InForce> in_force_;
  std::unordered_set<std::string> taken_names_;
};

bool Planner::set_endpoints(const ledger::Channel& channel, const ledger::Provider& provider,
                            state::ChannelSpec& spec) {
  const auto upstream = parse_endpoint(provider.base_url);
  if (!upstream || (upstream->scheme != "https" && upstream->scheme != "http")) return false;
  spec.scheme = upstream->scheme == "https" ? state::Scheme::https : state::Scheme::http;
  spec.host = upstream->host;
  spec.port = upstream->port;
  spec.base_path = upstream->path;
  if (channel.proxy.empty()) {
    plan_.hosts.push_back({upstream->host, upstream->port});
    return true;
  }
  const auto proxy = parse_endpoint(channel.proxy);
  if (!proxy || (proxy->scheme != "http" && proxy->scheme != "socks5")) return false;
  spec.proxy = proxy->scheme == "http" ? state::ProxyKind::connect : state::ProxyKind::socks5;
  spec.proxy_host = proxy->host;
  spec.proxy_port = proxy->port;
  spec.proxy_credentials = channel.proxy_credentials;
  plan_.hosts.push_back({proxy->host, proxy->port});
  return true;
}

void Planner::add_channel(const ledger::Channel& channel) {
  const std::string name = "channel " + channel.name;
  const auto provider =
      std::ranges::find(snapshot_.providers, channel.provider_id, &ledger::Provider::id);
  if (provider == snapshot_.providers.end()) return complain(name + ": its provider is not there");
  state::ChannelSpec spec;
  const auto format = format_number(provider->dialect);
  const auto auth = auth_of(provider->auth);
  const auto quirks = quirks_of(provider->quirks);
  if (!format || !auth || !quirks) {
    return complain(name + ": dialect, auth or a quirk of provider " + provider->name +
                    " is unknown");
  }
  if (!set_endpoints(channel, *provider, spec))
    return complain(name + ": base URL or proxy is malformed");
  spec.id = static_cast<std::uint32_t>(channel.id);
  spec.flags =
      channel.enabled && provider->enabled ? static_cast<std::uint32_t>(state::kChannelEnabled) : 0;
  spec.name = channel.name;
  spec.format = *format;
  spec.auth = *auth;
  spec.extra_headers = provider->extra_headers;
  spec.quirks = *quirks;
  spec.error_classes = provider->error_classes;
  spec.connect_timeout_ms = static_cast<std::uint32_t>(channel.connect_timeout_ms);
  spec.first_byte_timeout_ms = static_cast<std::uint32_t>(channel.first_byte_timeout_ms);
  spec.total_timeout_ms = static_cast<std::uint32_t>(channel.total_timeout_ms);
  // A cost, not a price: a channel that costs nothing has the smallest one that the file can hold.
  spec.multiplier = static_cast<std::uint32_t>(std::max<std::int64_t>(1, channel.multiplier));
  for (const ledger::ProviderKey& key : snapshot_.provider_keys) {
    if (key.provider_id != channel.provider_id) continue;
    spec.keys.push_back({static_cast<std::uint32_t>(key.id), key.enabled, key.sealed});
  }
  channels_.emplace(channel.id, &channel);
  plan_.spec.channels.push_back(std::move(spec));
}

bool Planner::add_price(const ledger::Price& price) {
  price::PriceRow row = price.row;
  if (const auto model = models_.find(price.model_id); model != models_.end()) {
    const ledger::Model& m = *model->second;
    row.input_margin = static_cast<std::uint32_t>(m.input_margin);
    row.max_output_tokens = m.max_output_tokens;
    row.context_tokens = m.context_tokens;
    row.hidden_tokens_per_s = static_cast<std::uint32_t>(m.hidden_tokens_per_s);
    row.flags = m.hidden_output ? row.flags | price::kRowHiddenOutput
                                : row.flags & ~static_cast<std::uint32_t>(price::kRowHiddenOutput);
  }
  if (!price::validate(row)) {
    complain("price version " + std::to_string(row.version) + " is incomplete or out of range");
    return false;
  }
  plan_.spec.prices.push_back(row);
  return true;
}

/// The versions of one model by date: one is in force, the next may be known, older ones fade out.
void Planner::add_prices_of(std::span<const ledger::Price> prices) {
  InForce& in_force = in_force_[prices.front().model_id];
  std::optional<std::size_t> current;
  for (std::size_t i = 0; i < prices.size(); ++i) {
    if (prices[i].row.effective_from_ns <= inputs_.realtime_ns) current = i;
  }
  const std::size_t next = current ? *current + 1 : 0;
  if (next < prices.size() && add_price(prices[next])) {
    in_force.next = prices[next].row.version;
    const TimeNs at_ns = prices[next].row.effective_from_ns;
    plan_.next_change_ns =
        plan_.next_change_ns == 0 ? at_ns : std::min(plan_.next_change_ns, at_ns);
  }
  if (current && add_price(prices[*current])) in_force.current = prices[*current].row.version;
  for (std::size_t i = 0; i < prices.size(); ++i) {
    if (i == current || i == next) continue;
    const bool recent =
        current && i < *current &&
        prices[i + 1].row.effective_from_ns > inputs_.realtime_ns - inputs_.keep_superseded_ns;
    // A hold may have a price of a day that is yet to come: the clock was set back.
    if (recent || inputs_.held_prices.contains(prices[i].row.version)) add_price(prices[i]);
  }
}

void Planner::add_prices() {
  std::span<const ledger::Price> rest(snapshot_.prices);
  while (!rest.empty()) {
    std::size_t count = 1;
    while (count < rest.size() && rest[count].model_id == rest.front().model_id) ++count;
    add_prices_of(rest.first(count));
    rest = rest.subspan(count);
  }
}

void Planner::add_candidates(const ledger::Model& model, state::ModelSpec& spec) {
  for (const ledger::Route& route : snapshot_.routes) {
    if (route.model_id != model.id) continue;
    const auto channel = channels_.find(route.channel_id);
    if (channel == channels_.end()) continue;  // was complained about
    state::CandidateSpec candidate;
    candidate.channel_id = static_cast<std::uint32_t>(route.channel_id);
    candidate.priority = static_cast<std::uint16_t>(
        route.priority >= 0 ? route.priority : channel->second->priority);
    candidate.weight =
        static_cast<std::uint16_t>(route.weight >= 0 ? route.weight : channel->second->weight);
    candidate.upstream_model = route.upstream_model;
    candidate.max_output_tokens = static_cast<std::uint32_t>(route.max_output_tokens);
    spec.candidates.push_back(std::move(candidate));
  }
}

void Planner::add_model(const ledger::Model& model) {
  state::ModelSpec spec;
  spec.id = static_cast<std::uint32_t>(model.id);
  spec.name = model.name;
  for (std::string& alias : split(model.aliases)) {
    if (taken_names_.insert(alias).second) {
      spec.aliases.push_back(std::move(alias));
    } else {
      complain("model " + model.name + ": alias " + alias + " is the name of another model");
    }
  }
  spec.owner = model.owner;
  spec.flags = (model.enabled ? state::kModelEnabled : 0U) |
               (model.listed ? state::kModelListed : 0U) |
               (model.hidden_output ? state::kModelHiddenOutput : 0U) |
               (model.retry_after_send ? state::kModelRetryAfterSend : 0U);
  if (!model.formats.empty()) {
    spec.formats = 0;
    for (const std::string& name : split(model.formats)) {
      if (const auto format = format_number(name)) spec.formats |= 1U << *format;
    }
  }
  const InForce in_force = in_force_[model.id];
  spec.price_version = in_force.current;
  spec.next_price_version = in_force.next;
  if (in_force.current == 0) complain("model " + model.name + " has no price: calls are refused");
  spec.hidden_tokens_per_s = static_cast<std::uint32_t>(model.hidden_tokens_per_s);
  spec.max_output_tokens = model.max_output_tokens;
  spec.context_tokens = model.context_tokens;
  spec.created_at_ns = model.created_ns;
  spec.first_byte_timeout_ms = static_cast<std::uint32_t>(model.first_byte_timeout_ms);
  spec.between_tokens_timeout_ms = static_cast<std::uint32_t>(model.between_tokens_timeout_ms);
  spec.first_token_timeout_ms = static_cast<std::uint32_t>(model.first_token_timeout_ms);
  spec.total_timeout_ms = static_cast<std::uint32_t>(model.total_timeout_ms);
  add_candidates(model, spec);
  plan_.spec.models.push_back(std::move(spec));
}

void Planner::add_route_group(const ledger::RouteGroup& group) {
  state::RouteGroupSpec spec;
  spec.id = static_cast<std::uint32_t>(group.id);
  spec.name = group.name;
  spec.flags = (group.enabled ? state::kRouteGroupEnabled : 0U) |
               (group.listed ? state::kRouteGroupListed : 0U);
  spec.created_at_ns = group.created_ns;
  for (const std::string& name : split(group.models)) {
    const auto model = std::ranges::find(snapshot_.models, name, &ledger::Model::name);
    if (model == snapshot_.models.end()) {
      complain("route group " + group.name + ": there is no model " + name);
      continue;
    }
    spec.model_ids.push_back(static_cast<std::uint32_t>(model->id));
  }
  if (spec.model_ids.empty()) return complain("route group " + group.name + " has no models");
  if (!taken_names_.insert(group.name).second)
    return complain("route group " + group.name + ": a model has this name");
  plan_.spec.route_groups.push_back(std::move(spec));
}

void Planner::add_groups() {
  for (const ledger::Group& group : snapshot_.groups) {
    if (group.multiplier < 1 || group.multiplier > price::kMaxMultiplier) {
      complain("group " + group.name + ": multiplier out of range; its customers are refused");
      continue;
    }
    plan_.spec.groups.push_back({static_cast<std::uint32_t>(group.id),
                                 static_cast<std::uint32_t>(group.multiplier), group.name});
  }
}

void Planner::add_cidr_set(const ledger::NumberedText& text) {
  state::CidrSetSpec set;
  set.id = static_cast<std::uint32_t>(text.id);
  const std::size_t mark = text.text.find('!');
  const auto add = [&](std::string_view list, std::uint8_t deny) {
    for (const std::string& part : split(list)) {
      const auto network = parse_cidr(part);
      if (!network) {
        // What was to be denied must not be let in because of a typo: the set is left out, which
        // lets nobody in.
        complain("address set " + std::to_string(text.id) + ": '" + part + "' is no network");
        return false;
      }
      state::CidrEntry entry;
      entry.address = network->network.bytes;
      entry.prefix = network->prefix;
      entry.deny = deny;
      set.entries.push_back(entry);
    }
    return true;
  };
  if (mark == std::string::npos)
    return complain("address set " + std::to_string(text.id) + " is malformed");
  const std::string_view whole = text.text;
  if (add(whole.substr(0, mark), 0) && add(whole.substr(mark + 1), 1))
    plan_.spec.cidr_sets.push_back(std::move(set));
}

void Planner::add_texts() {
  // Two days back: a shard whose clock is a little behind still finds its window.
  const std::int64_t from_s = inputs_.realtime_ns / kSecond - 2 * kDay;
  const std::int64_t days = inputs_.zone_days + 3;
  plan_.spec.zones.push_back(zone_windows(0, "UTC", zones_.zone("UTC"), from_s, days));
  for (const ledger::NumberedText& text : snapshot_.texts) {
    const auto id = static_cast<std::uint32_t>(text.id);
    switch (text.kind) {
      case ledger::TextKind::model_set:
        plan_.spec.model_sets.push_back({id, split(text.text)});
        break;
      case ledger::TextKind::cidr_set:
        add_cidr_set(text);
        break;
      case ledger::TextKind::zone:
        plan_.spec.zones.push_back(
            zone_windows(id, text.text, zones_.zone(text.text), from_s, days));
        break;
    }
  }
}

}  // namespace

CatalogPlan plan_catalog(const ledger::CatalogSnapshot& snapshot, const CatalogInputs& inputs,
                         ZoneTable& zones) {
  return Planner(snapshot, inputs, zones).plan();
}

}  // namespace sluice::reconcile
