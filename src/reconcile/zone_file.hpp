// One time zone of the system's database: offsets from UTC by time (TZif, RFC 8536), without the C
// library's global state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/error.hpp"

namespace sluice::reconcile {

/// The yearly rule that continues a file: POSIX TZ text such as "CET-1CEST,M3.5.0,M10.5.0/3".
struct YearlyRule {
  enum class Kind : std::uint8_t { month_week_day, julian, zero_based };
  struct Day {
    Kind kind = Kind::month_week_day;
    int month = 0, week = 0, weekday = 0;  ///< Mm.w.d
    int day = 0;                           ///< Jn (1 … 365, no 29 February) or n (0 … 365)
    std::int64_t time_s = 7200;            ///< local time of the change
  };
  std::int64_t standard_s = 0;  ///< seconds east of UTC
  std::int64_t summer_s = 0;
  bool has_summer = false;
  Day summer_begins;
  Day summer_ends;
};

class Zone {
 public:
  /// Errors: not_found, corrupt.
  [[nodiscard]] static Result<Zone> read(const std::string& directory, const std::string& name);
  [[nodiscard]] static Result<Zone> parse(std::string_view tzif);
  [[nodiscard]] static Zone utc() { return {}; }

  /// Seconds east of UTC at a time (realtime seconds).
  [[nodiscard]] std::int64_t offset_at(std::int64_t time_s) const;
  /// First change of the offset after a time and not after `until_s`; nothing when there is none.
  [[nodiscard]] std::optional<std::int64_t> next_change(std::int64_t time_s,
                                                        std::int64_t until_s) const;

 private:
  struct Change {
    std::int64_t at_s = 0;
    std::int64_t offset_s = 0;
  };
  [[nodiscard]] std::vector<Change> rule_changes(std::int64_t year) const;
  std::int64_t first_offset_s_ = 0;  ///< before the first change
  std::vector<Change> changes_;      ///< ascending
  std::optional<YearlyRule> rule_;   ///< after the last change
};

/// Parses the rule of a file's last line. Nothing when it is malformed.
[[nodiscard]] std::optional<YearlyRule> parse_yearly_rule(std::string_view text);

/// Days since 1970-01-01 of a date of the Gregorian calendar, and back.
[[nodiscard]] std::int64_t days_of(std::int64_t year, int month, int day);
struct CivilDate {
  std::int64_t year = 1970;
  int month = 1;
  int day = 1;
};
[[nodiscard]] CivilDate date_of(std::int64_t days);

}  // namespace sluice::reconcile
