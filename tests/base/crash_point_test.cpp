#include "sluice/base/crash_point.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace sluice {
namespace {

TEST(CrashPoint, DoesNothingWhenUnset) {
  ASSERT_EQ(std::getenv("SLUICE_CRASH_AT"), nullptr);
  for (int i = 0; i < 1000; ++i) crash_point();
  EXPECT_EQ(crash_points_passed(), 0U);
}

TEST(CrashPoint, CallsTheHookAtEachPointWhileThereIsOne) {
  static int calls = 0;
  set_crash_hook([]() noexcept { ++calls; });
  crash_point();
  crash_point();
  set_crash_hook(nullptr);
  crash_point();
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace sluice
