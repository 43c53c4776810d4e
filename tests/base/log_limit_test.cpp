#include "sluice/base/log_limit.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(LogLimit, OneLineASubjectAndTime) {
  LogLimit limit;
  const TimeNs start_ns = 77 * kSecond;
  EXPECT_EQ(limit.take(1, start_ns), 0U);
  EXPECT_EQ(limit.take(1, start_ns), std::nullopt);
  EXPECT_EQ(limit.take(2, start_ns), 0U);  // another subject has its own
  EXPECT_EQ(limit.take(1, start_ns + LogLimit::kEvery - 1), std::nullopt);
  EXPECT_EQ(limit.take(1, start_ns + LogLimit::kEvery), 2U);
  EXPECT_EQ(limit.take(1, start_ns + LogLimit::kEvery + 1), std::nullopt);
  EXPECT_EQ(limit.take(1, start_ns + 5 * LogLimit::kEvery), 1U);
  EXPECT_EQ(limit.take(2, start_ns + 5 * LogLimit::kEvery), 0U);
}

TEST(LogLimit, TheClockMayStartAtNought) {
  LogLimit limit;
  EXPECT_EQ(limit.take(0, 0), 0U);
  EXPECT_EQ(limit.take(0, 1), std::nullopt);
}

TEST(LogLimit, MoreSubjectsThanItRemembersAreBoundedTogether) {
  LogLimit limit;
  const TimeNs start_ns = 77 * kSecond;
  std::size_t written = 0;
  for (std::uint64_t subject = 0; subject < 1000; ++subject) {
    if (limit.take(subject, start_ns)) ++written;
  }
  EXPECT_EQ(written, LogLimit::kSubjects);
  // Places are free again when their time is over.
  EXPECT_EQ(limit.take(5000, start_ns + LogLimit::kEvery), 0U);
}

}  // namespace
}  // namespace sluice
