// POSIX TZ text (IEEE 1003.1, "TZ"; hours of -167 … 167 as RFC 8536 §3.3.1 allows).
#include <algorithm>
#include <array>
#include <charconv>

#include "zone_file.hpp"

namespace sluice::reconcile {
namespace {

class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text) {}
  [[nodiscard]] bool at_end() const { return text_.empty(); }

  bool take(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  bool name() {
    if (take('<')) {
      const std::size_t end = text_.find('>');
      if (end == std::string_view::npos || end == 0) return false;
      text_.remove_prefix(end + 1);
      return true;
    }
    std::size_t letters = 0;
    while (letters < text_.size() && is_letter(text_[letters])) ++letters;
    text_.remove_prefix(letters);
    return letters >= 3;
  }

  bool integer(int& out, int max) {
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), out);
    if (error != std::errc() || out < 0 || out > max) return false;
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return true;
  }

  /// [+-]hh[:mm[:ss]] in seconds.
  bool time(std::int64_t& out) {
    const bool negative = take('-');
    if (!negative) take('+');
    int hours = 0, minutes = 0, seconds = 0;
    if (!integer(hours, 167)) return false;
    if (take(':') && !integer(minutes, 59)) return false;
    if (take(':') && !integer(seconds, 59)) return false;
    out = hours * 3600 + minutes * 60 + seconds;
    if (negative) out = -out;
    return true;
  }

  bool day(YearlyRule::Day& out) {
    if (!take(',')) return false;
    if (take('M')) {
      out.kind = YearlyRule::Kind::month_week_day;
      const bool read = integer(out.month, 12) && take('.') && integer(out.week, 5) && take('.') &&
                        integer(out.weekday, 6);
      if (!read || out.month == 0 || out.week == 0) return false;
    } else if (take('J')) {
      out.kind = YearlyRule::Kind::julian;
      if (!integer(out.day, 365) || out.day == 0) return false;
    } else {
      out.kind = YearlyRule::Kind::zero_based;
      if (!integer(out.day, 365)) return false;
    }
    return !take('/') || time(out.time_s);
  }

 private:
  static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
  std::string_view text_;
};

}  // namespace

std::optional<YearlyRule> parse_yearly_rule(std::string_view text) {
  RuleReader reader(text);
  YearlyRule rule;
  std::int64_t west_s = 0;
  if (!reader.name() || !reader.time(west_s)) return std::nullopt;
  rule.standard_s = -west_s;
  if (reader.at_end()) return rule;
  if (!reader.name()) return std::nullopt;
  rule.has_summer = true;
  rule.summer_s = rule.standard_s + 3600;
  RuleReader ahead = reader;
  if (ahead.time(west_s)) {
    rule.summer_s = -west_s;
    reader = ahead;
  }
  if (!reader.day(rule.summer_begins) || !reader.day(rule.summer_ends) || !reader.at_end())
    return std::nullopt;
  return rule;
}

// Civil calendar by eras of 400 years (Hinnant, "chrono-compatible low-level date algorithms").
std::int64_t days_of(std::int64_t year, int month, int day) {
  const std::int64_t shifted = year - (month <= 2 ? 1 : 0);
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
  const std::int64_t year_of_era = shifted - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719'468;
}

CivilDate date_of(std::int64_t days) {
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const std::int64_t of_era = shifted - era * 146'097;
  const std::int64_t year_of_era =
      (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t from_march = (5 * of_year + 2) / 153;
  CivilDate date;
  date.day = static_cast<int>(of_year - (153 * from_march + 2) / 5 + 1);
  date.month = static_cast<int>(from_march < 10 ? from_march + 3 : from_march - 9);
  date.year = year_of_era + era * 400 + (date.month <= 2 ? 1 : 0);
  return date;
}

}  // namespace sluice::reconcile
