#include "sluice/ring/scope.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::ring {
namespace {

struct Gate {
  std::coroutine_handle<> waiter;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { waiter = handle; }
  void await_resume() const noexcept {}
  void open() { std::exchange(waiter, nullptr).resume(); }
};

Task<> wait_at(Gate& gate) { co_await gate; }
Task<> nothing() { co_return; }

Task<> join(Scope& scope, bool& joined) {
  co_await scope.join();
  joined = true;
}

TEST(Scope, JoinWithoutChildrenDoesNotSuspend) {
  Scope scope;
  Scope outer;
  bool joined = false;
  outer.spawn(join(scope, joined));
  EXPECT_TRUE(joined);
}

TEST(Scope, AChildThatEndsAtOnceIsNotCounted) {
  Scope scope;
  scope.spawn(nothing());
  EXPECT_EQ(scope.running(), 0U);
}

TEST(Scope, JoinWaitsForEveryChild) {
  Scope scope;
  Scope outer;
  Gate first;
  Gate second;
  bool joined = false;
  scope.spawn(wait_at(first));
  scope.spawn(wait_at(second));
  EXPECT_EQ(scope.running(), 2U);
  outer.spawn(join(scope, joined));
  second.open();
  EXPECT_EQ(scope.running(), 1U);
  EXPECT_FALSE(joined);
  first.open();
  EXPECT_TRUE(joined);
  EXPECT_EQ(scope.running(), 0U);
}

TEST(Scope, ChildrenMayBeAddedWhileSomebodyJoins) {
  Scope scope;
  Scope outer;
  Gate first;
  Gate second;
  bool joined = false;
  scope.spawn(wait_at(first));
  outer.spawn(join(scope, joined));
  scope.spawn(wait_at(second));
  first.open();
  EXPECT_FALSE(joined);
  second.open();
  EXPECT_TRUE(joined);
}

// The usual shape: the scope is a local of the coroutine that joins it, and dies when the join
// returns.
TEST(Scope, MayDieRightAfterTheJoin) {
  Scope outer;
  Gate gate;
  std::vector<std::string> order;
  const auto body = [](Gate& at, std::vector<std::string>& log) -> Task<> {
    {
      Scope inner;
      inner.spawn(wait_at(at));
      co_await inner.join();
      log.emplace_back("joined");
    }
    log.emplace_back("scope gone");
  };
  outer.spawn(body(gate, order));
  gate.open();
  EXPECT_EQ(order, (std::vector<std::string>{"joined", "scope gone"}));
  EXPECT_EQ(outer.running(), 0U);
}

TEST(Scope, TheTaskAndItsArgumentsAreGoneWhenTheJoinerRuns) {
  Scope outer;
  Gate gate;
  const auto shared = std::make_shared<int>(1);
  long uses = -1;
  const auto child = [](std::shared_ptr<int> kept, Gate& at) -> Task<> {
    co_await at;
    static_cast<void>(kept);
  };
  const auto body = [&child](std::shared_ptr<int> const& value, Gate& at, long& out) -> Task<> {
    Scope inner;
    inner.spawn(child(value, at));
    co_await inner.join();
    out = value.use_count();
  };
  outer.spawn(body(shared, gate, uses));
  EXPECT_EQ(shared.use_count(), 2);
  gate.open();
  EXPECT_EQ(uses, 1);
}

using ScopeDeathTest = ::testing::Test;

TEST(ScopeDeathTest, DestroyedWithARunningChildIsAMistake) {
  EXPECT_DEATH(
      {
        Gate gate;
        Scope scope;
        scope.spawn(wait_at(gate));
      },
      "running_ == 0");
}

TEST(ScopeDeathTest, OnlyOneMayJoin) {
  EXPECT_DEATH(
      {
        Scope scope;
        Scope outer;
        Gate gate;
        bool joined = false;
        scope.spawn(wait_at(gate));
        outer.spawn(join(scope, joined));
        outer.spawn(join(scope, joined));
      },
      "joiner_");
}

}  // namespace
}  // namespace sluice::ring
