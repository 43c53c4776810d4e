#include "zone_file.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace sluice::reconcile {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::size_t kHeaderBytes = 44;
constexpr std::size_t kMostBytes = 1 << 20;

std::int64_t big_endian(std::string_view text, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    value = value << 8 | static_cast<unsigned char>(text[at + i]);
  if (bytes == 4) return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
  return static_cast<std::int64_t>(value);
}

/// Counts of one data block (RFC 8536 §3.1).
struct BlockCounts {
  std::size_t utc = 0, standard = 0, leaps = 0, times = 0, types = 0, chars = 0;
  [[nodiscard]] std::size_t bytes(std::size_t time_bytes) const {
    return times * time_bytes + times + types * 6 + chars + leaps * (time_bytes + 4) + standard +
           utc;
  }
};

std::optional<BlockCounts> read_header(std::string_view text) {
  if (text.size() < kHeaderBytes || !text.starts_with("TZif")) return std::nullopt;
  const auto count = [&](std::size_t place) {
    return static_cast<std::size_t>(
        static_cast<std::uint32_t>(big_endian(text, 20 + 4 * place, 4)));
  };
  BlockCounts counts{count(0), count(1), count(2), count(3), count(4), count(5)};
  for (const std::size_t each :
       {counts.utc, counts.standard, counts.leaps, counts.times, counts.types, counts.chars}) {
    if (each > kMostBytes) return std::nullopt;
  }
  return counts;
}

/// Day number on which a yearly change falls.
std::int64_t rule_day(const YearlyRule::Day& rule, std::int64_t year) {
  const std::int64_t first = days_of(year, 1, 1);
  if (rule.kind == YearlyRule::Kind::zero_based) return first + rule.day;
  if (rule.kind == YearlyRule::Kind::julian) {
    const bool leap = days_of(year + 1, 1, 1) - first == 366;
    return first + rule.day - 1 + (leap && rule.day >= 60 ? 1 : 0);
  }
  const std::int64_t month = days_of(year, rule.month, 1);
  const std::int64_t next_month =
      rule.month == 12 ? days_of(year + 1, 1, 1) : days_of(year, rule.month + 1, 1);
  // 1970-01-01 was a Thursday.
  const std::int64_t weekday = ((month + 4) % 7 + 7) % 7;
  std::int64_t day = month + (rule.weekday - weekday + 7) % 7 + 7 * (rule.week - 1);
  while (day >= next_month) day -= 7;
  return day;
}

}  // namespace

Result<Zone> Zone::parse(std::string_view text) {
  const auto first = read_header(text);
  if (!first) return fail(Errc::corrupt);
  const char version = text[4];
  std::size_t time_bytes = 4;
  BlockCounts counts = *first;
  if (version >= '2') {
    // The first block is for readers of 32 bits; the second says the same in 64.
    const std::size_t skip = kHeaderBytes + first->bytes(4);
    if (text.size() < skip) return fail(Errc::corrupt);
    text.remove_prefix(skip);
    const auto second = read_header(text);
    if (!second) return fail(Errc::corrupt);
    counts = *second;
    time_bytes = 8;
  }
  text.remove_prefix(kHeaderBytes);
  if (counts.types == 0 || text.size() < counts.bytes(time_bytes)) return fail(Errc::corrupt);
  const std::size_t type_of = counts.times * time_bytes;
  const std::size_t types = type_of + counts.times;
  const auto offset_of_type = [&](std::size_t type) {
    return big_endian(text, types + type * 6, 4);
  };
  Zone zone;
  zone.first_offset_s_ = offset_of_type(0);
  for (std::size_t i = 0; i < counts.times; ++i) {
    const auto type = static_cast<unsigned char>(text[type_of + i]);
    const std::int64_t at_s = big_endian(text, i * time_bytes, time_bytes);
    if (type >= counts.types || (i > 0 && at_s <= zone.changes_.back().at_s))
      return fail(Errc::corrupt);
    zone.changes_.push_back({at_s, offset_of_type(type)});
  }
  text.remove_prefix(counts.bytes(time_bytes));
  if (time_bytes == 8 && text.size() > 2 && text.front() == '\n') {
    text.remove_prefix(1);
    zone.rule_ = parse_yearly_rule(text.substr(0, text.find('\n')));
    if (!zone.rule_) return fail(Errc::corrupt);
  }
  return zone;
}

Result<Zone> Zone::read(const std::string& directory, const std::string& name) {
  // Names come from the ledger; they must stay below the directory.
  if (name.empty() || name.front() == '/' || name.find("..") != std::string::npos)
    return fail(Errc::not_found);
  std::ifstream file(directory + "/" + name, std::ios::binary);
  if (!file) return fail(Errc::not_found);
  std::string text;
  text.assign(std::istreambuf_iterator<char>(file), {});
  if (text.size() > kMostBytes) return fail(Errc::corrupt);
  return parse(text);
}

std::vector<Zone::Change> Zone::rule_changes(std::int64_t year) const {
  const YearlyRule& rule = *rule_;
  // The time of a change is in the local time before it.
  const std::int64_t begins =
      rule_day(rule.summer_begins, year) * kDay + rule.summer_begins.time_s - rule.standard_s;
  const std::int64_t ends =
      rule_day(rule.summer_ends, year) * kDay + rule.summer_ends.time_s - rule.summer_s;
  std::vector<Change> changes{{begins, rule.summer_s}, {ends, rule.standard_s}};
  if (ends < begins) std::swap(changes[0], changes[1]);
  return changes;
}

std::int64_t Zone::offset_at(std::int64_t time_s) const {
  const bool after_file = changes_.empty() || time_s >= changes_.back().at_s;
  if (after_file && rule_) {
    if (!rule_->has_summer) return rule_->standard_s;
    const std::int64_t year = date_of(time_s / kDay).year;
    std::int64_t offset = rule_->standard_s;
    for (const std::int64_t each : {year - 1, year, year + 1}) {
      for (const Change& change : rule_changes(each)) {
        if (change.at_s <= time_s) offset = change.offset_s;
      }
    }
    return offset;
  }
  const auto next = std::ranges::upper_bound(changes_, time_s, {}, &Change::at_s);
  return next == changes_.begin() ? first_offset_s_ : std::prev(next)->offset_s;
}

std::optional<std::int64_t> Zone::next_change(std::int64_t time_s, std::int64_t until_s) const {
  const auto next = std::ranges::upper_bound(changes_, time_s, {}, &Change::at_s);
  if (next != changes_.end()) {
    return next->at_s <= until_s ? std::optional(next->at_s) : std::nullopt;
  }
  if (!rule_ || !rule_->has_summer) return std::nullopt;
  const std::int64_t first_year = date_of(time_s / kDay).year - 1;
  for (std::int64_t year = first_year; year <= first_year + 3; ++year) {
    for (const Change& change : rule_changes(year)) {
      if (change.at_s > time_s)
        return change.at_s <= until_s ? std::optional(change.at_s) : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace sluice::reconcile
