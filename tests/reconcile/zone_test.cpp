// Time zones: the system's files, their yearly rules, and where days and months begin.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <ctime>
#include <filesystem>

#include "zone_windows.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kHour = 3600;

/// A file of version 2 that says nothing but a rule.
Zone zone_of(const std::string& rule, std::int64_t offset_s = 0) {
  const auto header = [] {
    std::string text = "TZif2";
    text.append(15, '\0');
    const char counts[] = {0, 0, 0, 0, 0, 1};  // one type
    for (const char count : counts) text.append(3, '\0').push_back(count);
    text.replace(text.size() - 4, 4, std::string("\0\0\0\4", 4));  // four bytes of names
    text.replace(text.size() - 8, 4, std::string("\0\0\0\1", 4));  // one type
    return text;
  };
  const auto body = [&] {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8)
      text.push_back(static_cast<char>(offset_s >> shift));
    return text + std::string(2, '\0') + std::string("TST\0", 4);
  };
  auto zone = Zone::parse(header() + body() + header() + body() + "\n" + rule + "\n");
  EXPECT_TRUE(zone);
  return zone ? *zone : Zone::utc();
}

std::int64_t start_of(const state::ZoneSpec& spec, std::int64_t day) {
  for (const state::Boundary& boundary : spec.days) {
    if (boundary.window == day) return boundary.start_s;
  }
  return -1;
}

TEST(ZoneWindows, UtcIsEvenDaysAndCalendarMonths) {
  const std::int64_t from_s = days_of(2028, 2, 27) * kDay;
  const state::ZoneSpec spec = zone_windows(0, "UTC", Zone::utc(), from_s, 10);
  ASSERT_EQ(spec.days.size(), 10U);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(spec.days[i].start_s, from_s + static_cast<std::int64_t>(i) * kDay);
    EXPECT_EQ(spec.days[i].window, days_of(2028, 2, 27) + static_cast<std::int64_t>(i));
  }
  ASSERT_EQ(spec.months.size(), 2U);
  EXPECT_EQ(spec.months[1].start_s, days_of(2028, 3, 1) * kDay) << "2028 has a 29 February";
  EXPECT_EQ(spec.months[1].window, 12U * 2028 + 2);
}

TEST(ZoneWindows, DaylightSavingMakesShortAndLongDays) {
  const Zone berlin = zone_of("CET-1CEST,M3.5.0,M10.5.0/3", kHour);
  const state::ZoneSpec spec =
      zone_windows(7, "Europe/Berlin", berlin, days_of(2027, 1, 1) * kDay, 400);
  const std::int64_t spring = days_of(2027, 3, 28), autumn = days_of(2027, 10, 31);
  EXPECT_EQ(start_of(spec, spring), spring * kDay - kHour);
  EXPECT_EQ(start_of(spec, spring + 1) - start_of(spec, spring), 23 * kHour);
  EXPECT_EQ(start_of(spec, autumn + 1) - start_of(spec, autumn), 25 * kHour);
  EXPECT_EQ(start_of(spec, days_of(2027, 7, 1)), days_of(2027, 7, 1) * kDay - 2 * kHour);
}

TEST(ZoneWindows, ChangeAtMidnightNeverGoesBack) {
  // Clocks go from 0:00 to 1:00 in spring; in autumn from 1:00 back to 0:00 (Cuba's rule), from
  // 0:00 back to 23:00 of the day before, and from 0:30 back to 23:30.
  struct Case {
    const char* rule;
    std::int64_t autumn_s;  ///< UTC time of the first moment of the autumn day
  };
  for (const auto& [rule, autumn_s] : {Case{"CST5CDT,M3.2.0/0,M11.1.0/1", 4 * kHour},
                                       Case{"CST5CDT,M3.2.0/0,M11.1.0/0", 5 * kHour},
                                       Case{"CST5CDT,M3.2.0/0,M11.1.0/0:30", 4 * kHour}}) {
    const state::ZoneSpec spec =
        zone_windows(7, "x", zone_of(rule, -5 * kHour), days_of(2027, 1, 1) * kDay, 400);
    const std::int64_t spring = days_of(2027, 3, 14), autumn = days_of(2027, 11, 7);
    EXPECT_EQ(start_of(spec, spring), spring * kDay + 5 * kHour) << rule;
    EXPECT_EQ(start_of(spec, autumn), autumn * kDay + autumn_s) << rule;
    for (std::size_t i = 1; i < spec.days.size(); ++i) {
      EXPECT_LT(spec.days[i - 1].start_s, spec.days[i].start_s);
      EXPECT_EQ(spec.days[i - 1].window + 1, spec.days[i].window);
    }
  }
}

TEST(YearlyRule, FormsOfTheStandard) {
  EXPECT_EQ(parse_yearly_rule("UTC0")->standard_s, 0);
  EXPECT_EQ(parse_yearly_rule("<+0545>-5:45")->standard_s, 5 * kHour + 45 * 60);
  const auto julian = parse_yearly_rule("AAA3BBB,J60/2:30,300");
  ASSERT_TRUE(julian);
  EXPECT_EQ(julian->summer_begins.kind, YearlyRule::Kind::julian);
  EXPECT_EQ(julian->summer_begins.time_s, 2 * kHour + 30 * 60);
  EXPECT_EQ(julian->summer_ends.kind, YearlyRule::Kind::zero_based);
  const auto long_day = parse_yearly_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0");
  ASSERT_TRUE(long_day);
  EXPECT_EQ(long_day->summer_begins.time_s, -kHour);
  for (const char* bad :
       {"", "A1", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0x",
        "CET-1CEST,M3.0.0,M10.5.0", "CET-1CEST,J0,J1", "<CET-1"}) {
    EXPECT_FALSE(parse_yearly_rule(bad)) << bad;
  }
}

TEST(Zone, DamagedFilesAreRefused) {
  EXPECT_FALSE(Zone::parse(""));
  EXPECT_FALSE(Zone::parse("TZif2"));
  EXPECT_FALSE(Zone::parse(std::string(44, '\xff').replace(0, 5, "TZif2")));
  EXPECT_FALSE(Zone::read("/usr/share/zoneinfo", "../../../etc/passwd"));
  EXPECT_FALSE(Zone::read("/usr/share/zoneinfo", "No/Where"));
}

TEST(Zone, AgreesWithTheCLibrary) {
  const char* names[] = {"Europe/Berlin",  "America/New_York",    "Asia/Kolkata",
                         "Asia/Tehran",    "Africa/Casablanca",   "America/Havana",
                         "Asia/Gaza",      "Australia/Lord_Howe", "Pacific/Apia",
                         "America/Godthab"};
  const char* before = getenv("TZ");
  const std::string saved = before == nullptr ? "" : before;
  int compared = 0;
  for (const char* name : names) {
    if (!std::filesystem::exists(std::string("/usr/share/zoneinfo/") + name)) continue;
    const auto zone = Zone::read("/usr/share/zoneinfo", name);
    ASSERT_TRUE(zone) << name;
    setenv("TZ", name, 1);
    tzset();
    // Every five hours of some years that have old rules, listed changes, and the yearly rule after
    // them.
    for (const std::int64_t year : {1975, 2011, 2026, 2027, 2039, 2080}) {
      for (std::int64_t t = days_of(year, 1, 1) * kDay; t < days_of(year + 1, 1, 1) * kDay;
           t += 5 * kHour) {
        const time_t at = t;
        tm local{};
        localtime_r(&at, &local);
        ASSERT_EQ(zone->offset_at(t), local.tm_gmtoff) << name << " at " << t;
      }
    }
    ++compared;
  }
  before == nullptr ? unsetenv("TZ") : setenv("TZ", saved.c_str(), 1);
  tzset();
  if (compared == 0) GTEST_SKIP() << "no time zone database on this machine";
}

TEST(ZoneTable, UnknownZoneIsUtc) {
  ZoneTable zones("/no/such/directory");
  const TimeNs at_ns = 1'800'000'000 * kSecond;
  EXPECT_EQ(zones.windows_at("Mars/Olympus", at_ns), zones.windows_at("UTC", at_ns));
  EXPECT_EQ(zones.windows_at("UTC", at_ns).day, 20'833U);
  EXPECT_EQ(zones.windows_at("UTC", at_ns).month, 12U * 2027);
}

}  // namespace
}  // namespace sluice::reconcile
