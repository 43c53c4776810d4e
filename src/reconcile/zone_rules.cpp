#include "zone_rules.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>

namespace sluice::reconcile {
namespace {

constexpr std::int64_t kDay = 86'400;

/// Big-endian numbers at the front of the bytes.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool skip(std::size_t count) {
    if (count > bytes_.size()) return false;
    bytes_.remove_prefix(count);
    return true;
  }
  template <class T>
  bool read(T& out) {
    if (sizeof(T) > bytes_.size()) return false;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<unsigned char>(bytes_[i]);
    bytes_.remove_prefix(sizeof(T));
    out = static_cast<T>(value);
    return true;
  }
  [[nodiscard]] std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

struct Header {
  std::uint32_t ut_local = 0, standard = 0, leap = 0, times = 0, types = 0, chars = 0;
};

bool read_header(ByteReader& in, Header& out, std::uint8_t& version) {
  std::uint32_t magic = 0;
  if (!in.read(magic) || magic != 0x545a6966 || !in.read(version) || !in.skip(15)) return false;  // "TZif"
  return in.read(out.ut_local) && in.read(out.standard) && in.read(out.leap) && in.read(out.times) &&
         in.read(out.types) && in.read(out.chars) && out.times < 100'000 && out.types < 256 && out.leap < 1'000;
}

// ---- POSIX TZ text

bool take_name(std::string_view& text) {
  if (text.starts_with('<')) {
    const std::size_t end = text.find('>');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
    return true;
  }
  std::size_t letters = 0;
  while (letters < text.size() && ((text[letters] | 0x20) >= 'a' && (text[letters] | 0x20) <= 'z')) ++letters;
  text.remove_prefix(letters);
  return letters >= 3;
}

bool take_int(std::string_view& text, int& out) {
  std::size_t digits = 0;
  out = 0;
  while (digits < text.size() && digits < 4 && text[digits] >= '0' && text[digits] <= '9') {
    out = out * 10 + (text[digits++] - '0');
  }
  text.remove_prefix(digits);
  return digits > 0;
}

/// [+-]hh[:mm[:ss]] → seconds.
bool take_time(std::string_view& text, std::int64_t& out) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int part = 0;
  if (!take_int(text, part)) return false;
  out = part * 3600;
  for (const int unit : {60, 1}) {
    if (!text.starts_with(':')) break;
    text.remove_prefix(1);
    if (!take_int(text, part)) return false;
    out += part * unit;
  }
  if (negative) out = -out;
  return true;
}

}  // namespace

CivilDate to_civil(std::int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  return {static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day()))};
}

std::int64_t from_civil(const CivilDate& date) {
  return std::chrono::sys_days{std::chrono::year_month_day{
             std::chrono::year{static_cast<int>(date.year)},
             std::chrono::month{static_cast<unsigned>(date.month)},
             std::chrono::day{static_cast<unsigned>(date.day)}}}
      .time_since_epoch()
      .count();
}

std::optional<ZoneRules::Footer> ZoneRules::parse_footer(std::string_view text) {
  Footer out;
  const auto take_date = [&](Date& date) {
    // Only the M form is used by zones of today; Jn and n never appear in the database's footers.
    if (!text.starts_with(",M")) return false;
    text.remove_prefix(2);
    if (!take_int(text, date.month) || !text.starts_with('.')) return false;
    text.remove_prefix(1);
    if (!take_int(text, date.week) || !text.starts_with('.')) return false;
    text.remove_prefix(1);
    if (!take_int(text, date.weekday)) return false;
    if (text.starts_with('/')) {
      text.remove_prefix(1);
      if (!take_time(text, date.time_s)) return false;
    }
    return date.month >= 1 && date.month <= 12 && date.week >= 1 && date.week <= 5 && date.weekday <= 6;
  };
  if (!take_name(text) || !take_time(text, out.standard_s)) return std::nullopt;
  out.standard_s = -out.standard_s;  // POSIX counts westwards
  if (text.empty()) return out;
  out.has_summer = true;
  if (!take_name(text)) return std::nullopt;
  out.summer_s = out.standard_s + 3600;
  if (!text.starts_with(',')) {
    if (!take_time(text, out.summer_s)) return std::nullopt;
    out.summer_s = -out.summer_s;
  }
  if (!take_date(out.begin) || !take_date(out.end) || !text.empty()) return std::nullopt;
  return out;
}

std::optional<ZoneRules> ZoneRules::parse(std::string_view bytes) {
  ByteReader in(bytes);
  Header header;
  std::uint8_t version = 0;
  if (!read_header(in, header, version) || version < '2') return std::nullopt;
  // The first block has 32-bit times for old readers: skipped.
  if (!in.skip(header.times * 5ULL + header.types * 6ULL + header.chars + header.leap * 8ULL + header.standard +
               header.ut_local) ||
      !read_header(in, header, version) || header.types == 0) {
    return std::nullopt;
  }
  ZoneRules out;
  std::vector<std::int64_t> times(header.times);
  std::vector<std::uint8_t> kinds(header.times);
  std::vector<std::int32_t> offsets(header.types);
  for (auto& time : times) {
    if (!in.read(time)) return std::nullopt;
  }
  for (auto& kind : kinds) {
    if (!in.read(kind) || kind >= header.types) return std::nullopt;
  }
  for (auto& offset : offsets) {
    if (!in.read(offset) || !in.skip(2) || offset < -kDay || offset > kDay) return std::nullopt;
  }
  out.first_offset_s_ = offsets[0];
  for (std::size_t i = 0; i < times.size(); ++i) out.changes_.push_back({times[i], offsets[kinds[i]]});
  if (!std::is_sorted(times.begin(), times.end())) return std::nullopt;
  if (!in.skip(header.chars + header.leap * 12ULL + header.standard + header.ut_local)) return std::nullopt;
  std::string_view footer = in.rest();
  if (!footer.starts_with('\n')) return out;
  footer.remove_prefix(1);
  footer = footer.substr(0, footer.find('\n'));
  if (!footer.empty()) out.footer_ = parse_footer(footer);
  return out;
}

std::optional<ZoneRules> ZoneRules::load(const std::string& name) {
  if (name == "UTC") return ZoneRules();
  std::ifstream file("/usr/share/zoneinfo/" + name, std::ios::binary);
  if (!file) return std::nullopt;
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return parse(bytes);
}

std::int64_t ZoneRules::footer_offset(std::int64_t utc_s) const {
  if (!footer_->has_summer) return footer_->standard_s;
  const std::int64_t local_s = utc_s + footer_->standard_s;
  const std::int64_t year = to_civil(local_s >= 0 ? local_s / kDay : (local_s - kDay + 1) / kDay).year;
  const auto seconds_of = [&](const Date& date, std::int64_t offset_s) {
    const std::int64_t first = from_civil({year, date.month, 1});
    const std::int64_t first_weekday = (first % 7 + 7 + 4) % 7;  // 1970-01-01 was a Thursday
    std::int64_t day = first + (date.weekday - first_weekday + 7) % 7 + (date.week - 1) * 7;
    const std::int64_t next_month = date.month == 12 ? from_civil({year + 1, 1, 1}) : from_civil({year, date.month + 1, 1});
    while (day >= next_month) day -= 7;  // week 5 = the last one
    return day * kDay + date.time_s - offset_s;
  };
  const std::int64_t begin = seconds_of(footer_->begin, footer_->standard_s);
  const std::int64_t end = seconds_of(footer_->end, footer_->summer_s);
  const bool summer = begin < end ? utc_s >= begin && utc_s < end : utc_s >= begin || utc_s < end;
  return summer ? footer_->summer_s : footer_->standard_s;
}

std::int64_t ZoneRules::offset_at(std::int64_t utc_s) const {
  const auto after = std::upper_bound(changes_.begin(), changes_.end(), utc_s,
                                      [](std::int64_t at, const Change& change) { return at < change.at_s; });
  if (after == changes_.end() && footer_) return footer_offset(utc_s);
  if (after == changes_.begin()) return first_offset_s_;
  return std::prev(after)->offset_s;
}

std::int64_t ZoneRules::day_at(std::int64_t utc_s) const {
  const std::int64_t local_s = utc_s + offset_at(utc_s);
  return local_s >= 0 ? local_s / kDay : (local_s - kDay + 1) / kDay;
}

std::int64_t ZoneRules::start_of_day(std::int64_t day) const {
  // Zones are at most 26 hours apart. The first second whose local day is not before `day`: where clocks jump
  // over midnight that is the jump itself.
  std::int64_t before = day * kDay - 27 * 3600;
  std::int64_t after = day * kDay + 27 * 3600;
  while (after - before > 1) {
    const std::int64_t middle = before + (after - before) / 2;
    (day_at(middle) >= day ? after : before) = middle;
  }
  return after;
}

}  // namespace sluice::reconcile
