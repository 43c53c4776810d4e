#include "sluice/policy/retry_budget.hpp"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

int taken_of(RetryBudget& budget, int wanted, TimeNs now_ns) {
  int taken = 0;
  for (int i = 0; i < wanted; ++i) taken += budget.take(now_ns) ? 1 : 0;
  return taken;
}

TEST(RetryBudget, AllowsSomeWithoutAnyLoad) {
  RetryBudget budget;
  EXPECT_EQ(taken_of(budget, 100, kSecond), 10);
  EXPECT_EQ(taken_of(budget, 100, kSecond), 0);
  EXPECT_EQ(taken_of(budget, 100, 2 * kSecond), 10);
}

TEST(RetryBudget, UnderLoadOneInFiveIsSentAgain) {
  RetryBudget budget;
  EXPECT_EQ(taken_of(budget, 100, kSecond), 10);
  for (int i = 0; i < 200; ++i) budget.note_request();
  EXPECT_EQ(taken_of(budget, 1000, kSecond), 40);
}

TEST(RetryBudget, DoesNotHeapUp) {
  RetryBudget budget;
  for (int i = 0; i < 100'000; ++i) budget.note_request();
  EXPECT_LE(taken_of(budget, 10'000, kSecond), 101);
  EXPECT_LE(taken_of(budget, 10'000, 1000 * kSecond), 100);
}

}  // namespace
}  // namespace sluice::policy
