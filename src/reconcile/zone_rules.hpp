// A time zone as the system's zoneinfo file has it (RFC 8536), for the boundaries of days and months.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::reconcile {

class ZoneRules {
 public:
  /// Reads a TZif file's bytes. Nothing when they are damaged.
  [[nodiscard]] static std::optional<ZoneRules> parse(std::string_view bytes);
  /// Reads /usr/share/zoneinfo/<name>; "UTC" needs no file.
  [[nodiscard]] static std::optional<ZoneRules> load(const std::string& name);

  /// Seconds east of UTC at a time (seconds since 1970 UTC).
  [[nodiscard]] std::int64_t offset_at(std::int64_t utc_s) const;
  /// The local calendar day at a time, as days since 1970-01-01.
  [[nodiscard]] std::int64_t day_at(std::int64_t utc_s) const;
  /// When a local day begins: the first second of it that exists (seconds since 1970 UTC).
  [[nodiscard]] std::int64_t start_of_day(std::int64_t day) const;

 private:
  struct Change {
    std::int64_t at_s = 0;
    std::int64_t offset_s = 0;
  };
  /// One date of the footer: Mm.w.d/time of POSIX TZ.
  struct Date {
    int month = 0, week = 0, weekday = 0;
    std::int64_t time_s = 7200;
  };
  /// What holds after the last change: POSIX TZ, with or without summer time.
  struct Footer {
    std::int64_t standard_s = 0;
    std::int64_t summer_s = 0;
    bool has_summer = false;
    Date begin, end;
  };
  static std::optional<Footer> parse_footer(std::string_view text);
  [[nodiscard]] std::int64_t footer_offset(std::int64_t utc_s) const;

  std::int64_t first_offset_s_ = 0;
  std::vector<Change> changes_;
  std::optional<Footer> footer_;
};

struct CivilDate {
  std::int64_t year = 0;
  int month = 0;  ///< 1 … 12
  int day = 0;    ///< 1 … 31
};
/// Proleptic Gregorian calendar, days since 1970-01-01.
[[nodiscard]] CivilDate to_civil(std::int64_t day);
[[nodiscard]] std::int64_t from_civil(const CivilDate& date);

}  // namespace sluice::reconcile
