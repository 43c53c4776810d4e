#include "sluice/ring/task.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "allocation_count.hpp"
#include "sluice/ring/scope.hpp"

namespace sluice::ring {
namespace {

Task<int> number(int value) { co_return value; }

Task<std::unique_ptr<std::string>> owned(std::string text) {
  co_return std::make_unique<std::string>(std::move(text));
}

// Suspends until the test resumes it.
struct Gate {
  std::coroutine_handle<> waiter;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { waiter = handle; }
  void await_resume() const noexcept {}
  void open() { std::exchange(waiter, nullptr).resume(); }
};

TEST(Task, StartsOnlyWhenAwaited) {
  bool ran = false;
  const auto body = [](bool& flag) -> Task<> {
    flag = true;
    co_return;
  };
  {
    const Task<> dropped = body(ran);
  }
  EXPECT_FALSE(ran);
  Scope scope;
  scope.spawn(body(ran));
  EXPECT_TRUE(ran);
}

TEST(Task, GivesItsValueToTheAwaiter) {
  Scope scope;
  int got = 0;
  const auto body = [](int& out) -> Task<> { out = co_await number(40) + co_await number(2); };
  scope.spawn(body(got));
  EXPECT_EQ(got, 42);
}

TEST(Task, MovesResultsThatCannotBeCopied) {
  Scope scope;
  std::string got;
  const auto body = [](std::string& out) -> Task<> {
    const std::unique_ptr<std::string> text = co_await owned("moved");
    out = *text;
  };
  scope.spawn(body(got));
  EXPECT_EQ(got, "moved");
}

Task<int> depth(int levels) {
  if (levels == 0) co_return 0;
  co_return 1 + co_await depth(levels - 1);
}

TEST(Task, NestedTasksResumeTheirAwaitersInOrder) {
  Scope scope;
  int got = 0;
  const auto body = [](int& out) -> Task<> { out = co_await depth(500); };
  scope.spawn(body(got));
  EXPECT_EQ(got, 500);
}

TEST(Task, ResumesTheAwaiterAfterASuspension) {
  Scope scope;
  Gate gate;
  std::vector<std::string> order;
  const auto child = [](Gate& at, std::vector<std::string>& log) -> Task<int> {
    log.emplace_back("child starts");
    co_await at;
    log.emplace_back("child goes on");
    co_return 7;
  };
  const auto parent = [&child](Gate& at, std::vector<std::string>& log) -> Task<> {
    const int value = co_await child(at, log);
    log.push_back("parent has " + std::to_string(value));
  };
  scope.spawn(parent(gate, order));
  order.emplace_back("test");
  gate.open();
  EXPECT_EQ(order,
            (std::vector<std::string>{"child starts", "test", "child goes on", "parent has 7"}));
}

// The address of a local of the innermost task says how deep the stack is.
Task<std::uintptr_t> stack_place() {
  co_return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
}

TEST(Task, AMillionAwaitsInARowDoNotGrowTheStack) {
  Scope scope;
  std::uintptr_t lowest = UINTPTR_MAX;
  std::uintptr_t highest = 0;
  const auto body = [](std::uintptr_t& low, std::uintptr_t& high) -> Task<> {
    for (int i = 0; i < 1'000'000; ++i) {
      const std::uintptr_t place = co_await stack_place();
      low = std::min(low, place);
      high = std::max(high, place);
    }
  };
  scope.spawn(body(lowest, highest));
  EXPECT_LT(highest - lowest, 4096U);
}

TEST(Task, FramesOfAnEarlierCallAreUsedAgain) {
  Scope scope;
  const auto body = [](int& out) -> Task<> { out = co_await depth(20); };
  int got = 0;
  scope.spawn(body(got));
  const std::size_t before = testing::allocation_count();
  for (int i = 0; i < 100; ++i) scope.spawn(body(got));
  EXPECT_EQ(testing::allocation_count(), before);
  EXPECT_EQ(got, 20);
}

TEST(FramePool, ServesEverySizeAndTakesItBack) {
  for (const std::size_t bytes :
       {1U, 127U, 128U, 129U, 1000U, 3968U, 3969U, 4096U, 4097U, 100'000U}) {
    void* const block = allocate_frame(bytes);
    std::fill_n(static_cast<char*>(block), bytes, 'x');
    release_frame(block, bytes);
  }
}

TEST(FramePool, KeepsFramesUpToFourKilobytes) {
  for (const std::size_t bytes : {64U, 500U, 4096U}) {
    release_frame(allocate_frame(bytes), bytes);
    const std::size_t before = testing::allocation_count();
    release_frame(allocate_frame(bytes), bytes);
    EXPECT_EQ(testing::allocation_count(), before) << bytes;
  }
}

}  // namespace
}  // namespace sluice::ring
