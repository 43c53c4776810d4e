#include "catalog_spec.hpp"

#include <algorithm>
#include <unordered_map>

#include "sluice/base/ip_address.hpp"
#include "sluice/control/url.hpp"
#include "windows.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kDayNs = 86'400 * kSecond;

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  while (begin <= text.size() && !text.empty()) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    if (end > begin) out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

/// Numbers of dialect::Format, which this module may not see; a test compares them.
std::optional<std::uint8_t> format_number(const std::string& name) {
  constexpr std::string_view kNames[] = {"openai", "responses", "claude", "gemini"};
  for (std::uint8_t i = 0; i < 4; ++i) {
    if (name == kNames[i]) return i;
  }
  return std::nullopt;
}

state::Auth auth_of(const std::string& name) {
  if (name == "none") return state::Auth::none;
  if (name == "x-api-key") return state::Auth::x_api_key;
  if (name == "x-goog-api-key") return state::Auth::x_goog_api_key;
  if (name == "api-key") return state::Auth::api_key;
  if (name == "query-key") return state::Auth::query_key;
  return state::Auth::bearer;
}

std::uint32_t milliseconds(std::int64_t value) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(value, 0, 86'400'000));
}

template <class T>
std::unordered_map<ledger::Id, const T*> by_id(const std::vector<T>& rows) {
  std::unordered_map<ledger::Id, const T*> out;
  for (const T& row : rows) out[row.id] = &row;
  return out;
}

class Planner {
 public:
  Planner(const ledger::CatalogSnapshot& snapshot, const PriceBook& prices,
          const std::set<std::uint64_t>& used_versions, TimeNs now_ns, std::vector<std::string>& warnings)
      : snapshot_(snapshot), prices_(prices), versions_(used_versions), now_ns_(now_ns), warnings_(warnings) {}

  CatalogPlan run() {
    plan_.spec.generation = static_cast<std::uint64_t>(snapshot_.generation);
    plan_.rebuild_at_ns = now_ns_ + kDayNs;
    channels();
    models();
    sets();
    zones();
    for (const ledger::Group& group : snapshot_.groups) {
      plan_.spec.groups.push_back({static_cast<std::uint32_t>(group.id), static_cast<std::uint32_t>(group.multiplier), group.name});
    }
    for (const std::uint64_t version : versions_) {
      if (const price::PriceRow* row = prices_.find(version)) plan_.spec.prices.push_back(*row);
    }
    return std::move(plan_);
  }

 private:
  void warn(std::string text) { warnings_.push_back(std::move(text)); }

  bool set_target(state::ChannelSpec& spec, const ledger::Provider& provider) {
    const auto url = control::parse_url("base-url", provider.base_url);
    const auto format = format_number(provider.dialect);
    if (!url || !format) {
      warn("provider " + provider.name + ": base URL or dialect cannot be used");
      return false;
    }
    spec.format = *format;
    spec.scheme = url->scheme == "http" ? state::Scheme::http : state::Scheme::https;
    spec.host = url->host;
    spec.port = static_cast<std::uint16_t>(url->port != 0 ? url->port : spec.scheme == state::Scheme::http ? 80 : 443);
    spec.base_path = url->path;
    spec.auth = auth_of(provider.auth);
    spec.extra_headers = provider.extra_headers;
    return true;
  }

  bool set_proxy(state::ChannelSpec& spec, const ledger::Channel& channel) {
    if (channel.proxy.empty()) return true;
    const auto url = control::parse_url("proxy", channel.proxy);
    if (!url || url->port == 0) {
      warn("channel " + channel.name + ": proxy cannot be used");
      return false;
    }
    spec.proxy = url->scheme == "socks5" ? state::ProxyKind::socks5 : state::ProxyKind::connect;
    spec.proxy_host = url->host;
    spec.proxy_port = static_cast<std::uint16_t>(url->port);
    return true;
  }

  void channels() {
    const auto providers = by_id(snapshot_.providers);
    for (const ledger::Channel& channel : snapshot_.channels) {
      const auto provider = providers.find(channel.provider_id);
      state::ChannelSpec spec;
      spec.id = static_cast<std::uint32_t>(channel.id);
      spec.name = channel.name;
      if (provider == providers.end() || !set_target(spec, *provider->second) || !set_proxy(spec, channel)) continue;
      spec.flags = channel.enabled && provider->second->enabled ? state::kChannelEnabled : 0;
      spec.connect_timeout_ms = milliseconds(channel.connect_timeout_ms);
      spec.first_byte_timeout_ms = milliseconds(channel.first_byte_timeout_ms);
      spec.total_timeout_ms = milliseconds(channel.total_timeout_ms);
      spec.multiplier = static_cast<std::uint32_t>(channel.multiplier);
      for (const ledger::ProviderKey& key : snapshot_.provider_keys) {
        if (key.provider_id == channel.provider_id) {
          spec.keys.push_back({static_cast<std::uint32_t>(key.id), key.enabled, key.sealed});
        }
      }
      if (spec.flags != 0) {
        plan_.hosts.insert({spec.host, spec.port});
        if (!spec.proxy_host.empty()) plan_.hosts.insert({spec.proxy_host, spec.proxy_port});
      }
      priorities_[channel.id] = &channel;
      plan_.spec.channels.push_back(std::move(spec));
    }
  }

  void candidates(const ledger::Model& model, state::ModelSpec& spec) {
    for (const ledger::Route& route : snapshot_.routes) {
      const auto channel = priorities_.find(route.channel_id);
      if (route.model_id != model.id || channel == priorities_.end()) continue;
      state::CandidateSpec candidate;
      candidate.channel_id = static_cast<std::uint32_t>(route.channel_id);
      candidate.priority = static_cast<std::uint16_t>(route.priority >= 0 ? route.priority : channel->second->priority);
      candidate.weight = static_cast<std::uint16_t>(route.weight >= 1 ? route.weight : channel->second->weight);
      candidate.upstream_model = route.upstream_model;
      candidate.max_output_tokens = static_cast<std::uint32_t>(route.max_output_tokens);
      spec.candidates.push_back(std::move(candidate));
    }
  }

  /// The row in force, and the one that follows it; noted so that they get into the file.
  void set_prices(const ledger::Model& model, state::ModelSpec& spec) {
    for (const ledger::Price& price : snapshot_.prices) {
      if (price.model_id != model.id) continue;
      if (price.row.effective_from_ns <= now_ns_) {
        spec.price_version = price.row.version;
      } else if (spec.next_price_version == 0) {
        spec.next_price_version = price.row.version;
        plan_.rebuild_at_ns = std::min(plan_.rebuild_at_ns, price.row.effective_from_ns);
      }
    }
    for (const std::uint64_t version : {spec.price_version, spec.next_price_version}) {
      if (version != 0) versions_.insert(version);
    }
    if (spec.price_version == 0 && model.enabled) warn("model " + model.name + ": has no price, calls are refused");
  }

  void models() {
    for (const ledger::Model& model : snapshot_.models) {
      state::ModelSpec spec;
      spec.id = static_cast<std::uint32_t>(model.id);
      spec.name = model.name;
      spec.aliases = split(model.aliases, ',');
      spec.owner = model.owner.empty() ? "sluice" : model.owner;
      spec.flags = (model.enabled ? state::kModelEnabled : 0U) | (model.listed ? state::kModelListed : 0U) |
                   (model.hidden_output ? state::kModelHiddenOutput : 0U) |
                   (model.retry_after_send ? state::kModelRetryAfterSend : 0U);
      if (!model.formats.empty()) spec.formats = 0;
      for (const std::string& name : split(model.formats, ',')) {
        if (const auto format = format_number(name)) spec.formats |= 1U << *format;
      }
      spec.hidden_tokens_per_s = static_cast<std::uint32_t>(model.hidden_tokens_per_s);
      spec.max_output_tokens = model.max_output_tokens;
      spec.context_tokens = model.context_tokens;
      spec.created_at_ns = model.created_ns;
      spec.first_byte_timeout_ms = milliseconds(model.first_byte_timeout_ms);
      spec.between_tokens_timeout_ms = milliseconds(model.between_tokens_timeout_ms);
      candidates(model, spec);
      set_prices(model, spec);
      plan_.spec.models.push_back(std::move(spec));
    }
  }

  void cidr_set(const ledger::NumberedText& text) {
    state::CidrSetSpec set;
    set.id = static_cast<std::uint32_t>(text.id);
    const std::size_t mark = text.text.find('!');
    for (const bool deny : {false, true}) {
      for (const std::string& part : split(deny ? text.text.substr(mark + 1) : text.text.substr(0, mark), ',')) {
        if (const auto network = parse_cidr(part)) {
          set.entries.push_back({network->network.bytes, network->prefix, static_cast<std::uint8_t>(deny ? 1 : 0), {}});
        }
      }
    }
    plan_.spec.cidr_sets.push_back(std::move(set));
  }

  void sets() {
    for (const ledger::NumberedText& text : snapshot_.texts) {
      if (text.kind == ledger::TextKind::model_set) {
        plan_.spec.model_sets.push_back({static_cast<std::uint32_t>(text.id), split(text.text, ',')});
      } else if (text.kind == ledger::TextKind::cidr_set) {
        cidr_set(text);
      }
    }
  }

  void zones() {
    plan_.spec.zones.push_back(zone_spec(0, "UTC", *ZoneRules::load("UTC"), now_ns_));
    for (const ledger::NumberedText& text : snapshot_.texts) {
      if (text.kind != ledger::TextKind::zone) continue;
      auto rules = ZoneRules::load(text.text);
      if (!rules) {
        // A budget must end some time: UTC is off by hours, no window at all would be off for ever.
        warn("zone " + text.text + ": no zoneinfo file, UTC is used");
        rules = ZoneRules::load("UTC");
      }
      plan_.spec.zones.push_back(zone_spec(static_cast<std::uint32_t>(text.id), text.text, *rules, now_ns_));
    }
  }

  const ledger::CatalogSnapshot& snapshot_;
  const PriceBook& prices_;
  std::set<std::uint64_t> versions_;
  TimeNs now_ns_;
  std::vector<std::string>& warnings_;
  std::unordered_map<ledger::Id, const ledger::Channel*> priorities_;
  CatalogPlan plan_;
};

}  // namespace

CatalogPlan plan_catalog(const ledger::CatalogSnapshot& snapshot, const PriceBook& prices,
                         const std::set<std::uint64_t>& used_versions, TimeNs realtime_ns,
                         std::vector<std::string>& warnings) {
  return Planner(snapshot, prices, used_versions, realtime_ns, warnings).run();
}

}  // namespace sluice::reconcile
