#include "zone_rules.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "windows.hpp"

namespace sluice::reconcile {
namespace {

/// The C library's opinion.
std::tm local(const char* zone, std::int64_t utc_s) {
  ::setenv("TZ", (std::string(":") + zone).c_str(), 1);
  ::tzset();
  std::tm out{};
  const std::time_t at = utc_s;
  ::localtime_r(&at, &out);
  return out;
}

constexpr const char* kZones[] = {"Europe/Berlin",    "America/New_York", "Asia/Tokyo",      "Australia/Sydney",
                                  "America/Sao_Paulo", "Asia/Kolkata",     "Pacific/Auckland", "America/St_Johns",
                                  "Africa/Casablanca", "Pacific/Kiritimati"};

TEST(ZoneRules, AgreesWithTheLibrary) {
  for (const char* zone : kZones) {
    const auto rules = ZoneRules::load(zone);
    ASSERT_TRUE(rules) << zone;
    // 1995 to 2065 in steps that meet all times of day: transitions of the file and, later on, its footer.
    for (std::int64_t at = 788'918'400; at < 3'000'000'000; at += 86'400 * 3 + 3'607) {
      ASSERT_EQ(rules->offset_at(at), local(zone, at).tm_gmtoff) << zone << " " << at;
    }
  }
}

TEST(ZoneRules, DaysBeginWhereTheLibrarySaysSo) {
  for (const char* zone : kZones) {
    const auto rules = ZoneRules::load(zone);
    for (std::int64_t day = 17'000; day < 24'000; day += 1) {
      const std::int64_t start = rules->start_of_day(day);
      const CivilDate date = to_civil(day);
      ASSERT_EQ(local(zone, start).tm_mday, date.day) << zone << " " << day;
      ASSERT_NE(local(zone, start - 1).tm_mday, date.day) << zone << " " << day;
    }
  }
}

TEST(ZoneRules, CivilDatesGoBothWays) {
  for (std::int64_t day = -200'000; day < 200'000; day += 13) EXPECT_EQ(from_civil(to_civil(day)), day);
  EXPECT_EQ(to_civil(0).year, 1970);
  EXPECT_EQ(from_civil({2028, 2, 29}), 21'243);
}

TEST(ZoneRules, DamagedFilesGiveNothing) {
  EXPECT_FALSE(ZoneRules::load("Europe/Atlantis"));
  EXPECT_FALSE(ZoneRules::parse(""));
  EXPECT_FALSE(ZoneRules::parse("TZif2"));
  std::string bytes = "TZif2" + std::string(15, '\0') + std::string(24, '\xff');
  EXPECT_FALSE(ZoneRules::parse(bytes));
}

TEST(Windows, NumbersAndBoundariesFit) {
  const TimeNs now_ns = 1'800'000'000 * kSecond;  // 2027-01-15
  for (const char* zone : kZones) {
    const auto rules = ZoneRules::load(zone);
    const state::ZoneSpec spec = zone_spec(3, zone, *rules, now_ns);
    EXPECT_EQ(spec.id, 3U);
    const state::WindowIds now = windows_at(*rules, now_ns);
    EXPECT_EQ(now.month, 2027U * 12);
    std::uint32_t day = 0, month = 0;
    for (const auto& boundary : spec.days) {
      if (boundary.start_s * kSecond <= now_ns) day = boundary.window;
    }
    for (const auto& boundary : spec.months) {
      if (boundary.start_s * kSecond <= now_ns) month = boundary.window;
    }
    EXPECT_EQ(day, now.day) << zone;
    EXPECT_EQ(month, now.month) << zone;
    for (std::size_t i = 1; i < spec.days.size(); ++i) {
      EXPECT_LT(spec.days[i - 1].start_s, spec.days[i].start_s);
      EXPECT_LT(spec.days[i - 1].window, spec.days[i].window);
    }
  }
}

}  // namespace
}  // namespace sluice::reconcile
