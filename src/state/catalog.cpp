#include "sluice/state/catalog.hpp"

#include <algorithm>

#include "catalog_format.hpp"
#include "catalog_text.hpp"
#include "mapped_file.hpp"

namespace sluice::state {
namespace {

bool prefix_matches(const CidrEntry& cidr, const std::array<std::uint8_t, 16>& address) {
  const std::size_t whole = cidr.prefix / 8U;
  if (!std::equal(cidr.address.begin(), cidr.address.begin() + static_cast<std::ptrdiff_t>(whole),
                  address.begin())) {
    return false;
  }
  const unsigned rest = cidr.prefix % 8U;
  if (rest == 0) return true;
  const unsigned mask = 0xFFU << (8 - rest) & 0xFFU;
  return (cidr.address[whole] & mask) == (address[whole] & mask);
}

/// Window of the last boundary at or before `at_s`; the first one before all.
std::uint32_t window_at(std::span<const Boundary> boundaries, std::int64_t at_s) {
  const auto after = std::ranges::upper_bound(boundaries, at_s, {}, &Boundary::start_s);
  return after == boundaries.begin() ? boundaries.front().window : std::prev(after)->window;
}

/// Start of the window after that of `at_s`; 0 = there is none.
std::int64_t next_start(std::span<const Boundary> boundaries, std::int64_t at_s) {
  const auto after = std::ranges::upper_bound(boundaries, at_s, {}, &Boundary::start_s);
  return after == boundaries.end() ? 0 : after->start_s;
}

}  // namespace

Catalog::~Catalog() = default;

Result<std::shared_ptr<const Catalog>> Catalog::make(std::unique_ptr<const MappedFile> file,
                                                     std::span<const std::byte> bytes,
                                                     std::uint64_t expected_hash) {
  std::shared_ptr<Catalog> catalog(new Catalog());
  catalog->file_ = std::move(file);
  catalog->bytes_ = bytes;
  if (Result<> checked = catalog->check_layout(expected_hash); !checked) {
    return std::unexpected(checked.error());
  }
  if (Result<> checked = catalog->check_content(); !checked)
    return std::unexpected(checked.error());
  return catalog;
}

Result<std::shared_ptr<const Catalog>> Catalog::open(const std::string& path,
                                                     std::uint64_t expected_hash) {
  Result<std::unique_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file) return std::unexpected(file.error());
  const std::span<const std::byte> bytes = (*file)->bytes();
  return make(std::move(*file), bytes, expected_hash);
}

Result<std::shared_ptr<const Catalog>> Catalog::view(std::span<const std::byte> bytes) {
  return make(nullptr, bytes, 0);
}

std::uint64_t Catalog::generation() const { return header_of(bytes_).generation; }

std::string_view Catalog::text(TextRef ref) const {
  const std::span<const char> all = section<char>(kText);
  return {all.data() + ref.offset, ref.bytes};
}

std::span<const ModelEntry> Catalog::models() const { return section<ModelEntry>(kModels); }

Catalog::Named Catalog::find_name(std::string_view name) const {
  const std::span<const NameEntry> names = section<NameEntry>(kNames);
  const std::uint64_t mask = names.size() - 1;
  for (std::uint64_t at = mix_text(name, kNameSeed) & mask; names[at].model != kNone;
       at = (at + 1) & mask) {
    if (text(names[at].name) != name) continue;
    if (names[at].group != kNone) return {.group = &route_groups()[names[at].group]};
    return {.model = &models()[names[at].model]};
  }
  for (const PatternEntry& entry : section<PatternEntry>(kPatterns)) {
    if (glob_matches(text(entry.pattern), name)) return {.model = &models()[entry.model]};
  }
  return {};
}

std::span<const RouteGroupEntry> Catalog::route_groups() const {
  return section<RouteGroupEntry>(kRouteGroups);
}

std::span<const std::uint32_t> Catalog::models_of(const RouteGroupEntry& group) const {
  return section<std::uint32_t>(kRouteGroupModels).subspan(group.first, group.models);
}

const ModelEntry* Catalog::find_model_id(std::uint32_t id) const {
  return find_sorted(models(), id, &ModelEntry::id);
}

std::uint32_t Catalog::index_of(const ModelEntry& model) const {
  return static_cast<std::uint32_t>(&model - models().data());
}

std::span<const CandidateEntry> Catalog::candidates(const ModelEntry& model) const {
  return section<CandidateEntry>(kCandidates).subspan(model.first_candidate, model.candidates);
}

std::span<const ChannelEntry> Catalog::channels() const { return section<ChannelEntry>(kChannels); }

const ChannelEntry& Catalog::channel(const CandidateEntry& candidate) const {
  return channels()[candidate.channel];
}

const ChannelEntry* Catalog::find_channel_id(std::uint32_t id) const {
  return find_sorted(channels(), id, &ChannelEntry::id);
}

std::span<const ChannelKeyEntry> Catalog::keys(const ChannelEntry& channel) const {
  return section<ChannelKeyEntry>(kChannelKeys).subspan(channel.first_key, channel.keys);
}

std::span<const price::PriceRow> Catalog::prices() const {
  return section<price::PriceRow>(kPrices);
}

const price::PriceRow* Catalog::price_of(const ModelEntry& model, TimeNs realtime_ns) const {
  for (const std::uint32_t row : {model.next_price_row, model.price_row}) {
    if (row != kNone && prices()[row].effective_from_ns <= realtime_ns) return &prices()[row];
  }
  return nullptr;
}

const price::PriceRow* Catalog::find_price(std::uint64_t version) const {
  return find_sorted(prices(), version, &price::PriceRow::version);
}

bool Catalog::bit_of_set(std::uint32_t set, std::size_t bit) const {
  if (set == 0) return true;
  const SetEntry* entry = find_sorted(section<SetEntry>(kModelSets), set, &SetEntry::id);
  if (entry == nullptr) return false;
  const std::uint64_t word = section<std::uint64_t>(kModelSetWords)[entry->first + bit / 64];
  return (word >> (bit % 64) & 1U) != 0;
}

bool Catalog::model_in_set(std::uint32_t set, const ModelEntry& model) const {
  return bit_of_set(set, index_of(model));
}

bool Catalog::group_in_set(std::uint32_t set, const RouteGroupEntry& group) const {
  return bit_of_set(set,
                    models().size() + static_cast<std::size_t>(&group - route_groups().data()));
}

bool Catalog::address_allowed(std::uint32_t set, const std::array<std::uint8_t, 16>& v6) const {
  if (set == 0) return true;
  const SetEntry* entry = find_sorted(section<SetEntry>(kCidrSets), set, &SetEntry::id);
  if (entry == nullptr) return false;
  bool listed = false;
  bool any_allow = false;
  for (const CidrEntry& cidr : section<CidrEntry>(kCidrs).subspan(entry->first, entry->count)) {
    const bool matches = prefix_matches(cidr, v6);
    if (cidr.deny != 0) {
      if (matches) return false;
    } else {
      any_allow = true;
      listed = listed || matches;
    }
  }
  return listed || !any_allow;
}

const ZoneEntry& Catalog::zone_or_utc(std::uint32_t zone) const {
  const ZoneEntry* entry = find_sorted(zones(), zone, &ZoneEntry::id);
  if (entry == nullptr) entry = find_sorted(zones(), std::uint32_t{0}, &ZoneEntry::id);
  return *entry;
}

WindowIds Catalog::windows_at(std::uint32_t zone, TimeNs realtime_ns) const {
  const ZoneEntry& entry = zone_or_utc(zone);
  const std::span<const Boundary> boundaries = section<Boundary>(kBoundaries);
  const std::int64_t at_s = realtime_ns / kSecond;
  return {window_at(boundaries.subspan(entry.first_day, entry.days), at_s),
          window_at(boundaries.subspan(entry.first_month, entry.months), at_s)};
}

Catalog::WindowEnds Catalog::window_ends(std::uint32_t zone, TimeNs realtime_ns) const {
  const ZoneEntry& entry = zone_or_utc(zone);
  const std::span<const Boundary> boundaries = section<Boundary>(kBoundaries);
  const std::int64_t at_s = realtime_ns / kSecond;
  return {next_start(boundaries.subspan(entry.first_day, entry.days), at_s) * kSecond,
          next_start(boundaries.subspan(entry.first_month, entry.months), at_s) * kSecond};
}

std::span<const ZoneEntry> Catalog::zones() const { return section<ZoneEntry>(kZones); }

std::optional<std::uint32_t> Catalog::group_multiplier(std::uint32_t group) const {
  const GroupEntry* entry = find_sorted(section<GroupEntry>(kGroups), group, &GroupEntry::id);
  if (entry == nullptr) return std::nullopt;
  return entry->multiplier;
}

}  // namespace sluice::state
