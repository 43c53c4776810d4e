#include "sluice/state/catalog_builder.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <unordered_map>

#include "catalog_format.hpp"
#include "catalog_text.hpp"
#include "mapped_file.hpp"

namespace sluice::state {
namespace {

constexpr std::size_t kMostTextBytes = std::size_t{1} << 31;

/// The file's string area; equal strings are stored once.
class TextPool {
 public:
  TextRef add(const std::string& text) {
    const auto [it, fresh] = known_.try_emplace(text);
    if (fresh) {
      it->second = {static_cast<std::uint32_t>(bytes_.size()),
                    static_cast<std::uint32_t>(text.size())};
      bytes_ += text;
    }
    return it->second;
  }
  [[nodiscard]] std::span<const char> bytes() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::unordered_map<std::string, TextRef> known_;
  std::string bytes_;
};

/// Builds section by section; the first thing wrong ends it with a line in `message`.
class Builder {
 public:
  Builder(const CatalogSpec& spec, std::string& message) : spec_(spec), message_(message) {}

  Result<std::vector<std::byte>> build() {
    const bool built = add_prices() && add_groups() && add_channels() && add_models() &&
                       add_route_groups() && add_names() && add_model_sets() && add_cidr_sets() &&
                       add_zones();
    if (!built) return fail(Errc::bad_value);
    if (text_.bytes().size() > kMostTextBytes) {
      message_ = "the catalog's texts are larger than 2 GiB";
      return fail(Errc::too_large);
    }
    return assemble();
  }

 private:
  bool wrong(const std::string& what) {
    message_ = what;
    return false;
  }
  bool check_text(const std::string& what, const std::string& text,
                  bool (*valid)(std::string_view)) {
    return valid(text) || wrong(what + ": \"" + printable(text) + "\" is not allowed");
  }
  bool add_prices();
  bool add_groups();
  bool add_channels();
  bool add_channel(const ChannelSpec& spec);
  bool add_models();
  bool add_model(const ModelSpec& spec);
  bool add_name(const std::string& name, std::uint32_t model, std::uint32_t group = kNone);
  bool add_alias(const std::string& alias, std::uint32_t model);
  bool add_route_groups();
  bool add_names();
  bool add_model_sets();
  bool add_cidr_sets();
  bool add_zones();
  bool add_boundaries(const ZoneSpec& zone, const std::vector<Boundary>& boundaries);
  bool price_index(std::uint64_t version, std::uint32_t& index, const std::string& model);
  std::vector<std::byte> assemble();

  const CatalogSpec& spec_;
  std::string& message_;
  TextPool text_;
  std::vector<price::PriceRow> prices_;
  std::vector<GroupEntry> groups_;
  std::vector<ChannelEntry> channels_;
  std::vector<ChannelKeyEntry> channel_keys_;
  std::vector<ModelEntry> models_;
  std::vector<CandidateEntry> candidates_;
  std::vector<NameEntry> names_;
  std::map<std::string, NameEntry> by_name_;  ///< the texts are added later
  std::vector<PatternEntry> patterns_;
  std::vector<RouteGroupEntry> route_groups_;
  std::vector<std::uint32_t> group_models_;
  std::vector<SetEntry> model_sets_;
  std::vector<std::uint64_t> words_;
  std::vector<SetEntry> cidr_sets_;
  std::vector<CidrEntry> cidrs_;
  std::vector<ZoneEntry> zones_;
  std::vector<Boundary> boundaries_;
};

template <class Spec, class Id>
std::vector<const Spec*> sorted(const std::vector<Spec>& specs, Id Spec::* id) {
  std::vector<const Spec*> order;
  order.reserve(specs.size());
  for (const Spec& spec : specs) order.push_back(&spec);
  std::ranges::sort(order, {}, [id](const Spec* spec) { return spec->*id; });
  return order;
}

bool Builder::add_prices() {
  for (const price::PriceRow* row : sorted(spec_.prices, &price::PriceRow::version)) {
    const std::string name = "price version " + std::to_string(row->version);
    if (!price::validate(*row)) return wrong(name + " is incomplete or out of range");
    if (!prices_.empty() && prices_.back().version == row->version)
      return wrong(name + " is there twice");
    prices_.push_back(*row);
  }
  return true;
}

bool Builder::add_groups() {
  std::vector<GroupSpec> specs = spec_.groups;
  if (std::ranges::none_of(specs, [](const GroupSpec& group) { return group.id == 0; })) {
    specs.push_back({0, price::kOne, "default"});
  }
  for (const GroupSpec* group : sorted(specs, &GroupSpec::id)) {
    const std::string name = "group " + std::to_string(group->id);
    if (!groups_.empty() && groups_.back().id == group->id) return wrong(name + " is there twice");
    if (group->multiplier == 0 || group->multiplier > price::kMaxMultiplier) {
      return wrong(name + ": multiplier out of range");
    }
    groups_.push_back({group->id, group->multiplier, text_.add(group->name)});
  }
  return true;
}

bool Builder::add_channels() {
  for (const ChannelSpec* spec : sorted(spec_.channels, &ChannelSpec::id)) {
    if (!channels_.empty() && channels_.back().id == spec->id) {
      return wrong("channel " + std::to_string(spec->id) + " is there twice");
    }
    if (!add_channel(*spec)) return false;
  }
  return true;
}

bool Builder::add_channel(const ChannelSpec& spec) {
  const std::string name = "channel " + std::to_string(spec.id);
  const std::string host = lower(spec.host);
  const std::string proxy_host = lower(spec.proxy_host);
  if (spec.id == 0) return wrong("a channel has no id");
  if (!check_text(name + ": name", spec.name, name_valid) ||
      !check_text(name + ": host", host, host_valid) ||
      !check_text(name + ": base path", spec.base_path, base_path_valid) ||
      !check_text(name + ": extra headers", spec.extra_headers, header_lines_valid) ||
      !check_text(name + ": error classes", spec.error_classes, error_lines_valid)) {
    return false;
  }
  if (spec.port == 0) return wrong(name + ": port 0");
  if (spec.multiplier == 0 || spec.multiplier > price::kMaxMultiplier) {
    return wrong(name + ": multiplier out of range");
  }
  const bool proxied = spec.proxy != ProxyKind::none;
  if (proxied && (!host_valid(proxy_host) || spec.proxy_port == 0))
    return wrong(name + ": proxy without address");
  ChannelEntry entry;
  entry.id = spec.id;
  entry.flags = spec.flags;
  entry.name = text_.add(spec.name);
  entry.format = spec.format;
  entry.scheme = spec.scheme;
  entry.auth = spec.auth;
  entry.proxy = spec.proxy;
  entry.port = spec.port;
  entry.proxy_port = spec.proxy_port;
  entry.host = text_.add(host);
  entry.base_path = text_.add(spec.base_path);
  entry.proxy_host = text_.add(proxy_host);
  entry.proxy_credentials = text_.add(spec.proxy_credentials);
  entry.extra_headers = text_.add(spec.extra_headers);
  entry.quirks = spec.quirks;
  entry.first_key = static_cast<std::uint32_t>(channel_keys_.size());
  entry.keys = static_cast<std::uint32_t>(spec.keys.size());
  entry.connect_timeout_ms = spec.connect_timeout_ms;
  entry.first_byte_timeout_ms = spec.first_byte_timeout_ms;
  entry.total_timeout_ms = spec.total_timeout_ms;
  entry.multiplier = spec.multiplier;
  entry.error_classes = text_.add(spec.error_classes);
  for (const ChannelKeySpec& key : spec.keys) {
    channel_keys_.push_back({key.id, key.enabled ? 1U : 0U, text_.add(key.sealed)});
  }
  channels_.push_back(entry);
  return true;
}

bool Builder::price_index(std::uint64_t version, std::uint32_t& index, const std::string& model) {
  index = kNone;
  if (version == 0) return true;
  const auto* row =
      find_sorted(std::span<const price::PriceRow>(prices_), version, &price::PriceRow::version);
  if (row == nullptr)
    return wrong("model " + model + ": price version " + std::to_string(version) + " is unknown");
  index = static_cast<std::uint32_t>(row - prices_.data());
  return true;
}

bool Builder::add_models() {
  for (const ModelSpec* spec : sorted(spec_.models, &ModelSpec::id)) {
    if (!models_.empty() && models_.back().id == spec->id) {
      return wrong("model " + std::to_string(spec->id) + " is there twice");
    }
    if (!add_model(*spec)) return false;
  }
  return true;
}

bool Builder::add_model(const ModelSpec& spec) {
  if (spec.id == 0) return wrong("a model has no id");
  const auto index = static_cast<std::uint32_t>(models_.size());
  if (!add_name(spec.name, index)) return false;
  for (const std::string& alias : spec.aliases) {
    if (!add_alias(alias, index)) return false;
  }
  if (!check_text("model " + spec.name + ": owner", spec.owner, value_valid)) return false;
  if (spec.max_output_tokens < 0 || spec.context_tokens < 0) {
    return wrong("model " + spec.name + ": negative limit");
  }
  ModelEntry entry;
  entry.id = spec.id;
  entry.flags = spec.flags;
  entry.name = text_.add(spec.name);
  entry.owner = text_.add(spec.owner);
  entry.formats = spec.formats;
  if (!price_index(spec.price_version, entry.price_row, spec.name) ||
      !price_index(spec.next_price_version, entry.next_price_row, spec.name)) {
    return false;
  }
  entry.first_candidate = static_cast<std::uint32_t>(candidates_.size());
  entry.candidates = static_cast<std::uint32_t>(spec.candidates.size());
  entry.hidden_tokens_per_s = spec.hidden_tokens_per_s;
  entry.max_output_tokens = spec.max_output_tokens;
  entry.context_tokens = spec.context_tokens;
  entry.created_at_ns = spec.created_at_ns;
  entry.first_byte_timeout_ms = spec.first_byte_timeout_ms;
  entry.between_tokens_timeout_ms = spec.between_tokens_timeout_ms;
  entry.first_token_timeout_ms = spec.first_token_timeout_ms;
  entry.total_timeout_ms = spec.total_timeout_ms;
  for (const CandidateSpec& candidate : spec.candidates) {
    const auto* channel = find_sorted(std::span<const ChannelEntry>(channels_),
                                      candidate.channel_id, &ChannelEntry::id);
    if (channel == nullptr) {
      return wrong("model " + spec.name + ": channel " + std::to_string(candidate.channel_id) +
                   " is unknown");
    }
    const std::string& upstream =
        candidate.upstream_model.empty() ? spec.name : candidate.upstream_model;
    if (!check_text("model " + spec.name + ": upstream name", upstream, name_valid)) return false;
    candidates_.push_back({static_cast<std::uint32_t>(channel - channels_.data()),
                           candidate.priority, candidate.weight, text_.add(upstream),
                           candidate.max_output_tokens, 0});
  }
  // The order that the edge tries them in.
  std::ranges::sort(candidates_.begin() + entry.first_candidate, candidates_.end(),
                    [](const CandidateEntry& a, const CandidateEntry& b) {
                      return a.priority != b.priority ? a.priority < b.priority
                                                      : a.channel < b.channel;
                    });
  models_.push_back(entry);
  return true;
}

bool Builder::add_name(const std::string& name, std::uint32_t model, std::uint32_t group) {
  if (!check_text("model name", name, name_valid)) return false;
  return by_name_.try_emplace(name, NameEntry{{}, model, group}).second ||
         wrong("two models are called " + name);
}

bool Builder::add_alias(const std::string& alias, std::uint32_t model) {
  if (alias.find('*') == std::string::npos) return add_name(alias, model);
  if (!check_text("model name", alias, name_valid)) return false;
  patterns_.push_back({text_.add(alias), model, 0});
  return true;
}

bool Builder::add_route_groups() {
  for (const RouteGroupSpec* spec : sorted(spec_.route_groups, &RouteGroupSpec::id)) {
    const std::string name = "route group " + spec->name;
    if (spec->id == 0 || (!route_groups_.empty() && route_groups_.back().id == spec->id))
      return wrong(name + " is there twice or has no id");
    if (spec->model_ids.empty()) return wrong(name + " has no models");
    RouteGroupEntry entry;
    entry.id = spec->id;
    entry.flags = spec->flags;
    entry.name = text_.add(spec->name);
    entry.first = static_cast<std::uint32_t>(group_models_.size());
    entry.models = static_cast<std::uint32_t>(spec->model_ids.size());
    entry.created_at_ns = spec->created_at_ns;
    for (const std::uint32_t id : spec->model_ids) {
      const auto* model = find_sorted(std::span<const ModelEntry>(models_), id, &ModelEntry::id);
      if (model == nullptr) return wrong(name + ": model " + std::to_string(id) + " is unknown");
      group_models_.push_back(static_cast<std::uint32_t>(model - models_.data()));
    }
    if (!add_name(spec->name, group_models_[entry.first],
                  static_cast<std::uint32_t>(route_groups_.size())))
      return false;
    route_groups_.push_back(entry);
  }
  // The longer a pattern without its stars, the more exact it is; then in the order of the names.
  const auto exactness = [&](const PatternEntry& entry) {
    const auto text = text_.bytes().subspan(entry.pattern.offset, entry.pattern.bytes);
    return static_cast<std::ptrdiff_t>(text.size()) - std::ranges::count(text, '*');
  };
  std::ranges::sort(patterns_, [&](const PatternEntry& a, const PatternEntry& b) {
    const auto of_a = exactness(a);
    const auto of_b = exactness(b);
    return of_a != of_b ? of_a > of_b : a.pattern.offset < b.pattern.offset;
  });
  return true;
}

bool Builder::add_names() {
  names_.resize(std::bit_ceil(by_name_.size() * 2 + 1));
  const std::uint64_t mask = names_.size() - 1;
  for (const auto& [name, entry] : by_name_) {
    std::uint64_t at = mix_text(name, kNameSeed) & mask;
    while (names_[at].model != kNone) at = (at + 1) & mask;
    names_[at] = {text_.add(name), entry.model, entry.group};
  }
  return true;
}

bool Builder::add_model_sets() {
  // A bit for each model, then one for each group.
  const auto words = static_cast<std::uint32_t>((models_.size() + route_groups_.size() + 63) / 64);
  for (const ModelSetSpec* set : sorted(spec_.model_sets, &ModelSetSpec::id)) {
    const std::string name = "model set " + std::to_string(set->id);
    if (set->id == 0 || (!model_sets_.empty() && model_sets_.back().id == set->id)) {
      return wrong(name + " is there twice or has no id");
    }
    const auto first = static_cast<std::uint32_t>(words_.size());
    words_.resize(words_.size() + words);
    for (const std::string& pattern : set->patterns) {
      for (const auto& [name_or_alias, entry] : by_name_) {
        if (!glob_matches(pattern, name_or_alias)) continue;
        const std::size_t bit = entry.group == kNone ? entry.model : models_.size() + entry.group;
        words_[first + bit / 64] |= std::uint64_t{1} << (bit % 64);
      }
    }
    model_sets_.push_back({set->id, first, words});
  }
  return true;
}

bool Builder::add_cidr_sets() {
  for (const CidrSetSpec* set : sorted(spec_.cidr_sets, &CidrSetSpec::id)) {
    const std::string name = "address set " + std::to_string(set->id);
    if (set->id == 0 || (!cidr_sets_.empty() && cidr_sets_.back().id == set->id)) {
      return wrong(name + " is there twice or has no id");
    }
    cidr_sets_.push_back({set->id, static_cast<std::uint32_t>(cidrs_.size()),
                          static_cast<std::uint32_t>(set->entries.size())});
    for (const CidrEntry& cidr : set->entries) {
      if (cidr.prefix > 128) return wrong(name + ": prefix longer than 128");
      cidrs_.push_back(cidr);
    }
  }
  return true;
}

bool Builder::add_boundaries(const ZoneSpec& zone, const std::vector<Boundary>& boundaries) {
  const std::string name = "zone " + std::to_string(zone.id);
  if (boundaries.empty()) return wrong(name + " has no boundaries");
  for (std::size_t i = 1; i < boundaries.size(); ++i) {
    if (boundaries[i - 1].start_s >= boundaries[i].start_s ||
        boundaries[i - 1].window >= boundaries[i].window) {
      return wrong(name + ": boundaries do not ascend");
    }
  }
  boundaries_.insert(boundaries_.end(), boundaries.begin(), boundaries.end());
  return true;
}

bool Builder::add_zones() {
  for (const ZoneSpec* zone : sorted(spec_.zones, &ZoneSpec::id)) {
    if (!zones_.empty() && zones_.back().id == zone->id) {
      return wrong("zone " + std::to_string(zone->id) + " is there twice");
    }
    ZoneEntry entry;
    entry.id = zone->id;
    entry.name = text_.add(zone->name);
    entry.first_day = static_cast<std::uint32_t>(boundaries_.size());
    entry.days = static_cast<std::uint32_t>(zone->days.size());
    if (!add_boundaries(*zone, zone->days)) return false;
    entry.first_month = static_cast<std::uint32_t>(boundaries_.size());
    entry.months = static_cast<std::uint32_t>(zone->months.size());
    if (!add_boundaries(*zone, zone->months)) return false;
    zones_.push_back(entry);
  }
  if (zones_.empty() || zones_.front().id != 0) return wrong("zone 0 (UTC) is missing");
  return true;
}

std::vector<std::byte> Builder::assemble() {
  SectionWriter file(kCatalogMagic, kCatalogLayout, spec_.generation);
  file.add<ModelEntry>(kModels, models_);
  file.add<NameEntry>(kNames, names_);
  file.add<CandidateEntry>(kCandidates, candidates_);
  file.add<ChannelEntry>(kChannels, channels_);
  file.add<ChannelKeyEntry>(kChannelKeys, channel_keys_);
  file.add<price::PriceRow>(kPrices, prices_);
  file.add<GroupEntry>(kGroups, groups_);
  file.add<ZoneEntry>(kZones, zones_);
  file.add<Boundary>(kBoundaries, boundaries_);
  file.add<SetEntry>(kModelSets, model_sets_);
  file.add<std::uint64_t>(kModelSetWords, words_);
  file.add<SetEntry>(kCidrSets, cidr_sets_);
  file.add<CidrEntry>(kCidrs, cidrs_);
  file.add<char>(kText, text_.bytes());
  file.add<PatternEntry>(kPatterns, patterns_);
  file.add<RouteGroupEntry>(kRouteGroups, route_groups_);
  file.add<std::uint32_t>(kRouteGroupModels, group_models_);
  return file.finish();
}

}  // namespace

Result<std::vector<std::byte>> build_catalog(const CatalogSpec& spec, std::string& message) {
  return Builder(spec, message).build();
}

}  // namespace sluice::state
