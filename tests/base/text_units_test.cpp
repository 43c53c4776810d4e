#include "sluice/base/text_units.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace sluice {
namespace {

TEST(TextUnits, ReadsDurations) {
  EXPECT_EQ(parse_duration("20ms"), 20 * kMillisecond);
  EXPECT_EQ(parse_duration("5s"), 5 * kSecond);
  EXPECT_EQ(parse_duration("30d"), 30 * 86'400 * kSecond);
  EXPECT_EQ(parse_duration("0"), 0);
  for (const char* bad :
       {"", "5", "s", "-1s", "5 s", "1.5s", "999999d", "99999999999999999999s", "5sec"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
  EXPECT_EQ(format_duration(90 * kSecond), "90s");
  EXPECT_EQ(format_duration(3600 * kSecond), "1h");
}

TEST(TextUnits, ReadsSizes) {
  EXPECT_EQ(parse_size("32MiB"), 32U << 20);
  EXPECT_EQ(parse_size("512"), 512U);
  for (const char* bad : {"", "-1", "32MB", "MiB", "1.5MiB", "99999999999GiB"})
    EXPECT_FALSE(parse_size(bad)) << bad;
  EXPECT_EQ(format_size(16384), "16KiB");
  EXPECT_EQ(format_size(1000), "1000");
}

TEST(TextUnits, ReadsMoneyExactly) {
  EXPECT_EQ(parse_usd("10"), 10 * kNanosPerUsd);
  EXPECT_EQ(parse_usd("10 USD"), 10 * kNanosPerUsd);
  EXPECT_EQ(parse_usd("0.1"), 100'000'000);
  EXPECT_EQ(parse_usd("0.000000001"), 1);
  EXPECT_EQ(parse_usd("9223372036.854775807"), std::numeric_limits<Nanos>::max());
  for (const char* bad : {"", "-1", "+1", "1.", ".5", "1e3", "1.0000000001", "9223372036.854775808",
                          "ten", "1 EUR", "NaN", "1,5", "1. 5", "0x10"}) {
    EXPECT_FALSE(parse_usd(bad)) << bad;
  }
}

TEST(TextUnits, WritesMoney) {
  EXPECT_EQ(format_usd(0), "0.00");
  EXPECT_EQ(format_usd(10'500'000'000), "10.50");
  EXPECT_EQ(format_usd(1'234), "0.000001234");
  EXPECT_EQ(format_usd(-1), "-0.000000001");
  EXPECT_EQ(format_usd(std::numeric_limits<Nanos>::min()), "-9223372036.854775808");
}

TEST(TextUnits, ReadsAndWritesDates) {
  EXPECT_EQ(format_utc(0), "1970-01-01T00:00:00Z");
  const auto leap = parse_utc("2028-02-29T12:30:01Z");
  ASSERT_TRUE(leap);
  EXPECT_EQ(format_utc(*leap), "2028-02-29T12:30:01Z");
  EXPECT_EQ(format_utc(*parse_utc("2026-11-22")), "2026-11-22T00:00:00Z");
  for (const char* bad : {"2027-02-29", "2026-13-01", "2026-1-1", "22.11.2026",
                          "2026-11-22T25:00:00Z", "2026-11-22T"}) {
    EXPECT_FALSE(parse_utc(bad)) << bad;
  }
}

}  // namespace
}  // namespace sluice
