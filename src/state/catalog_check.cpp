// What a catalog file must be before it is used: every reference inside it leads somewhere. A shard
// that maps it trusts it afterwards without looking.
#include <algorithm>
#include <bit>

#include "catalog_format.hpp"
#include "mapped_file.hpp"

namespace sluice::state {
namespace {

template <class T, class Id>
bool ascending(std::span<const T> rows, Id T::* member) {
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (rows[i - 1].*member >= rows[i].*member) return false;
  }
  return true;
}

/// first … first + count lies within `size`.
bool in_range(std::uint64_t first, std::uint64_t count, std::uint64_t size) {
  return first <= size && count <= size - first;
}

bool boundaries_ok(std::span<const Boundary> rows) {
  if (rows.empty()) return false;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (rows[i - 1].start_s >= rows[i].start_s || rows[i - 1].window >= rows[i].window)
      return false;
  }
  return true;
}

}  // namespace

Result<> Catalog::check_layout(std::uint64_t expected_hash) const {
  if (Result<> header = check_header(bytes_, kCatalogMagic, kCatalogLayout, expected_hash);
      !header) {
    return header;
  }
  const bool fits = section_fits(bytes_, kModels, sizeof(ModelEntry)) &&
                    section_fits(bytes_, kNames, sizeof(NameEntry)) &&
                    section_fits(bytes_, kCandidates, sizeof(CandidateEntry)) &&
                    section_fits(bytes_, kChannels, sizeof(ChannelEntry)) &&
                    section_fits(bytes_, kChannelKeys, sizeof(ChannelKeyEntry)) &&
                    section_fits(bytes_, kPrices, sizeof(price::PriceRow)) &&
                    section_fits(bytes_, kGroups, sizeof(GroupEntry)) &&
                    section_fits(bytes_, kZones, sizeof(ZoneEntry)) &&
                    section_fits(bytes_, kBoundaries, sizeof(Boundary)) &&
                    section_fits(bytes_, kModelSets, sizeof(SetEntry)) &&
                    section_fits(bytes_, kModelSetWords, sizeof(std::uint64_t)) &&
                    section_fits(bytes_, kCidrSets, sizeof(SetEntry)) &&
                    section_fits(bytes_, kCidrs, sizeof(CidrEntry)) &&
                    section_fits(bytes_, kText, 1) &&
                    section_fits(bytes_, kPatterns, sizeof(PatternEntry)) &&
                    section_fits(bytes_, kRouteGroups, sizeof(RouteGroupEntry)) &&
                    section_fits(bytes_, kRouteGroupModels, sizeof(std::uint32_t));
  if (!fits) return fail(Errc::corrupt);
  return {};
}

Result<> Catalog::check_content() const {
  if (!models_ok() || !channels_ok() || !groups_ok() || !names_ok() || !sets_ok() || !zones_ok())
    return fail(Errc::corrupt);
  if (!ascending(prices(), &price::PriceRow::version)) return fail(Errc::corrupt);
  for (const price::PriceRow& row : prices()) {
    if (!price::validate(row)) return fail(Errc::corrupt);
  }
  return {};
}

bool Catalog::text_ok(TextRef ref) const {
  return in_range(ref.offset, ref.bytes, section<char>(kText).size());
}

bool Catalog::models_ok() const {
  const auto all = section<CandidateEntry>(kCandidates);
  const auto price_ok = [&](std::uint32_t row) { return row == kNone || row < prices().size(); };
  for (const ModelEntry& model : models()) {
    if (!text_ok(model.name) || !text_ok(model.owner) || !price_ok(model.price_row) ||
        !price_ok(model.next_price_row) ||
        !in_range(model.first_candidate, model.candidates, all.size()) ||
        model.max_output_tokens < 0 || model.context_tokens < 0) {
      return false;
    }
  }
  for (const CandidateEntry& candidate : all) {
    if (candidate.channel >= channels().size() || !text_ok(candidate.upstream_model)) return false;
  }
  return ascending(models(), &ModelEntry::id);
}

bool Catalog::channels_ok() const {
  const auto all = section<ChannelKeyEntry>(kChannelKeys);
  for (const ChannelEntry& channel : channels()) {
    if (!text_ok(channel.name) || !text_ok(channel.host) || !text_ok(channel.base_path) ||
        !text_ok(channel.proxy_host) || !text_ok(channel.proxy_credentials) ||
        !text_ok(channel.extra_headers) || !text_ok(channel.error_classes) ||
        channel.scheme > Scheme::https || channel.auth > Auth::query_key ||
        channel.proxy > ProxyKind::socks5 ||
        !in_range(channel.first_key, channel.keys, all.size())) {
      return false;
    }
  }
  for (const ChannelKeyEntry& key : all) {
    if (!text_ok(key.sealed)) return false;
  }
  return ascending(channels(), &ChannelEntry::id);
}

bool Catalog::names_ok() const {
  const auto names = section<NameEntry>(kNames);
  if (!std::has_single_bit(names.size())) return false;
  bool empty = false;  // a look-up ends at an empty place: there must be one
  for (const NameEntry& name : names) {
    if (name.model == kNone) {
      empty = true;
    } else if (name.model >= models().size() || !text_ok(name.name) ||
               (name.group != kNone && name.group >= route_groups().size())) {
      return false;
    }
  }
  return empty && std::ranges::all_of(section<PatternEntry>(kPatterns), [&](const auto& entry) {
           return entry.model < models().size() && text_ok(entry.pattern);
         });
}

bool Catalog::groups_ok() const {
  const auto indexes = section<std::uint32_t>(kRouteGroupModels);
  for (const RouteGroupEntry& group : route_groups()) {
    if (!text_ok(group.name) || group.models == 0 ||
        !in_range(group.first, group.models, indexes.size())) {
      return false;
    }
  }
  return std::ranges::all_of(indexes,
                             [&](std::uint32_t index) { return index < models().size(); }) &&
         ascending(route_groups(), &RouteGroupEntry::id);
}

bool Catalog::sets_ok() const {
  const auto model_sets = section<SetEntry>(kModelSets);
  const auto words = section<std::uint64_t>(kModelSetWords);
  const std::size_t needed = (models().size() + route_groups().size() + 63) / 64;
  for (const SetEntry& set : model_sets) {
    if (set.count != needed || !in_range(set.first, set.count, words.size())) return false;
  }
  const auto cidr_sets = section<SetEntry>(kCidrSets);
  const auto cidrs = section<CidrEntry>(kCidrs);
  for (const SetEntry& set : cidr_sets) {
    if (!in_range(set.first, set.count, cidrs.size())) return false;
  }
  for (const CidrEntry& cidr : cidrs) {
    if (cidr.prefix > 128) return false;
  }
  const auto groups = section<GroupEntry>(kGroups);
  for (const GroupEntry& group : groups) {
    if (!text_ok(group.name) || group.multiplier == 0 || group.multiplier > price::kMaxMultiplier) {
      return false;
    }
  }
  return ascending(model_sets, &SetEntry::id) && ascending(cidr_sets, &SetEntry::id) &&
         ascending(groups, &GroupEntry::id);
}

bool Catalog::zones_ok() const {
  const auto boundaries = section<Boundary>(kBoundaries);
  for (const ZoneEntry& zone : zones()) {
    if (!text_ok(zone.name) || !in_range(zone.first_day, zone.days, boundaries.size()) ||
        !in_range(zone.first_month, zone.months, boundaries.size()) ||
        !boundaries_ok(boundaries.subspan(zone.first_day, zone.days)) ||
        !boundaries_ok(boundaries.subspan(zone.first_month, zone.months))) {
      return false;
    }
  }
  return ascending(zones(), &ZoneEntry::id) && !zones().empty() && zones().front().id == 0;
}

}  // namespace sluice::state
