#include "sluice/ring/reactor.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "allocation_count.hpp"
#include "scripted_ring.hpp"
#include "sluice/ring/scope.hpp"

namespace sluice::ring {
namespace {

using testing::CancelOrder;
using testing::ScriptedRing;

// An operation that notes its completions.
struct Noted {
  std::vector<Completion> seen;
  Operation operation{[](void* context, const Completion& completion) {
                        static_cast<Noted*>(context)->seen.push_back(completion);
                      },
                      this};
};

class ReactorTest : public ::testing::Test {
 protected:
  void SetUp() override { ring_.sleep_on(clock_); }
  void TearDown() override { EXPECT_EQ(ring_.check(), ""); }

  ScriptedRing ring_;
  ManualClock clock_;
  Reactor reactor_{ring_, clock_, {.spin_ns = 0, .operation_slots = 4}};
};

TEST_F(ReactorTest, ACompletionReachesItsOperation) {
  Noted first;
  Noted second;
  reactor_.start(first.operation, {.code = OpCode::poll, .fd = 1});
  reactor_.start(second.operation, {.code = OpCode::poll, .fd = 2});
  EXPECT_TRUE(first.operation.in_flight());
  ring_.complete(OpCode::poll, 2, 22);
  ring_.complete(OpCode::poll, 1, 11);
  reactor_.run_turn(0);
  ASSERT_EQ(first.seen.size(), 1U);
  EXPECT_EQ(first.seen[0].result, 11);
  ASSERT_EQ(second.seen.size(), 1U);
  EXPECT_EQ(second.seen[0].result, 22);
  EXPECT_FALSE(first.operation.in_flight());
  EXPECT_EQ(reactor_.stats().completions, 2U);
}

TEST_F(ReactorTest, AMultishotOperationStaysUntilItsLastCompletion) {
  Noted noted;
  const int fd = ring_.make_fd();
  reactor_.start(noted.operation, {.code = OpCode::recv_multishot, .fd = fd});
  ring_.options().receive_most = 1;
  ring_.deliver(fd, "ab");
  reactor_.run_turn(0);
  EXPECT_EQ(noted.seen.size(), 2U);
  EXPECT_TRUE(noted.operation.in_flight());
  ring_.end_of_stream(fd);
  reactor_.run_turn(0);
  EXPECT_EQ(noted.seen.size(), 3U);
  EXPECT_FALSE(noted.operation.in_flight());
}

TEST_F(ReactorTest, TheOperationMayBeStartedAgainFromItsCallback) {
  struct Again {
    Reactor* reactor;
    int left;
    int seen = 0;
    Operation operation{[](void* context, const Completion&) {
                          auto& self = *static_cast<Again*>(context);
                          ++self.seen;
                          if (self.left-- > 0)
                            self.reactor->start(self.operation, {.code = OpCode::poll, .fd = 1});
                        },
                        this};
  } again{.reactor = &reactor_, .left = 2};
  reactor_.start(again.operation, {.code = OpCode::poll, .fd = 1});
  for (int i = 0; i < 3; ++i) {
    ring_.complete(OpCode::poll, 1, 0);
    reactor_.run_turn(0);
  }
  EXPECT_EQ(again.seen, 3);
}

// A slot that is used anew has another generation: a completion that comes late finds nobody.
TEST_F(ReactorTest, AStaleCompletionIsCountedAndDropped) {
  Noted first;
  reactor_.start(first.operation, {.code = OpCode::poll, .fd = 1});
  const std::uint64_t old = ring_.find(OpCode::poll)->submission.user_data;
  ring_.complete(OpCode::poll, 1, 0);
  reactor_.run_turn(0);
  Noted second;
  reactor_.start(second.operation, {.code = OpCode::poll, .fd = 1});
  EXPECT_NE(ring_.find(OpCode::poll)->submission.user_data, old);
  EXPECT_EQ(static_cast<std::uint32_t>(ring_.find(OpCode::poll)->submission.user_data),
            static_cast<std::uint32_t>(old));  // the same slot
  ring_.complete_raw({.user_data = old,
                      .result = 5,
                      .more = false,
                      .has_buffer = false,
                      .buffer_more = false,
                      .buffer = 0});
  reactor_.run_turn(0);
  EXPECT_EQ(reactor_.stats().stale_completions, 1U);
  EXPECT_TRUE(second.seen.empty());
  ring_.complete(OpCode::poll, 1, 6);
  reactor_.run_turn(0);
  EXPECT_EQ(second.seen.size(), 1U);
  EXPECT_EQ(first.seen.size(), 1U);
}

TEST_F(ReactorTest, ACancelEndsTheTargetWhicheverCompletionComesFirst) {
  for (const CancelOrder order : {CancelOrder::cancel_first, CancelOrder::target_first}) {
    ring_.options().cancel_order = order;
    Noted noted;
    reactor_.start(noted.operation, {.code = OpCode::poll, .fd = 1});
    reactor_.cancel(noted.operation);
    EXPECT_TRUE(noted.operation.in_flight());  // a request, not a result
    reactor_.run_turn(0);
    ASSERT_EQ(noted.seen.size(), 1U);
    EXPECT_EQ(noted.seen[0].result, -ECANCELED);
    EXPECT_FALSE(noted.operation.in_flight());
  }
}

TEST_F(ReactorTest, ACancelThatComesTooLateHarmsNobody) {
  Noted first;
  reactor_.start(first.operation, {.code = OpCode::poll, .fd = 1});
  ring_.complete(OpCode::poll, 1, 3);
  reactor_.cancel(first.operation);  // its completion is not taken yet
  reactor_.run_turn(0);
  Noted second;
  reactor_.start(second.operation, {.code = OpCode::poll, .fd = 1});
  reactor_.run_turn(0);
  EXPECT_EQ(first.seen.size(), 1U);
  EXPECT_TRUE(second.seen.empty());
  ring_.complete(OpCode::poll, 1, 0);
  reactor_.run_turn(0);
}

TEST_F(ReactorTest, CancellingWhatIsNotInFlightDoesNothing) {
  Noted noted;
  reactor_.cancel(noted.operation);
  reactor_.run_turn(0);
  EXPECT_EQ(ring_.prepared(OpCode::cancel), 0U);
}

TEST_F(ReactorTest, MoreOperationsThanFirstSlotsAreNoProblem) {
  std::vector<std::unique_ptr<Noted>> many;
  for (int i = 0; i < 100; ++i) {
    many.push_back(std::make_unique<Noted>());
    reactor_.start(many.back()->operation, {.code = OpCode::poll, .fd = 1000 + i});
  }
  for (int i = 99; i >= 0; --i) ring_.complete(OpCode::poll, 1000 + i, i);
  reactor_.run_turn(0);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(many[static_cast<std::size_t>(i)]->seen.size(), 1U);
    EXPECT_EQ(many[static_cast<std::size_t>(i)]->seen[0].result, i);
  }
}

Task<> note(Reactor& reactor, std::vector<std::string>& log, std::string name, int times) {
  for (int i = 0; i < times; ++i) {
    log.push_back(name + std::to_string(i));
    co_await reactor.yield();
  }
}

TEST_F(ReactorTest, YieldedCoroutinesGoOnInTheOrderTheyYielded) {
  Scope scope;
  std::vector<std::string> log;
  scope.spawn(note(reactor_, log, "a", 2));
  scope.spawn(note(reactor_, log, "b", 2));
  log.emplace_back("loop");
  for (int i = 0; i < 3; ++i) reactor_.run_turn(0);
  EXPECT_EQ(log, (std::vector<std::string>{"a0", "b0", "loop", "a1", "b1"}));
  EXPECT_EQ(scope.running(), 0U);
}

// A coroutine that yields until something has happened must not keep it from happening.
TEST_F(ReactorTest, AYieldLetsCompletionsIn) {
  Scope scope;
  Noted noted;
  reactor_.start(noted.operation, {.code = OpCode::poll, .fd = 1});
  int rounds = 0;
  const auto body = [](Reactor& reactor, Noted& until, int& count) -> Task<> {
    while (until.seen.empty() && count < 1000) {
      ++count;
      co_await reactor.yield();
    }
  };
  scope.spawn(body(reactor_, noted, rounds));
  ring_.complete(OpCode::poll, 1, 0);
  reactor_.run_turn(kSecond);
  EXPECT_EQ(reactor_.stats().sleeps, 0U);  // work waited
  reactor_.run_turn(0);
  EXPECT_EQ(scope.running(), 0U);
  EXPECT_LT(rounds, 1000);
}

TEST_F(ReactorTest, TheHookRunsOncePerTurnAndBoundsTheSleep) {
  struct Hook {
    int calls = 0;
    TimeNs wait_ns = 0;
  } hook;
  reactor_.set_turn_hook(
      [](void* context) {
        auto& self = *static_cast<Hook*>(context);
        ++self.calls;
        return self.wait_ns;
      },
      &hook);
  const TimeNs before_ns = clock_.monotonic_ns();
  hook.wait_ns = 3 * kMillisecond;
  reactor_.run_turn(kSecond);
  EXPECT_EQ(hook.calls, 1);
  EXPECT_EQ(clock_.monotonic_ns() - before_ns, 3 * kMillisecond);
  hook.wait_ns = 0;
  reactor_.run_turn(kSecond);
  EXPECT_EQ(clock_.monotonic_ns() - before_ns, 3 * kMillisecond);
}

// A commit resumes coroutines that ask for the next commit: all within the turn, each with its own.
TEST_F(ReactorTest, WhatTheHookMakesReadyRunsInTheSameTurn) {
  struct Committer {
    Reactor& reactor;
    std::vector<std::coroutine_handle<>> waiting;
    int commits = 0;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) { waiting.push_back(handle); }
    void await_resume() const noexcept {}
  } committer{reactor_, {}};
  reactor_.set_turn_hook(
      [](void* context) {
        auto& self = *static_cast<Committer*>(context);
        if (!self.waiting.empty()) ++self.commits;
        for (const auto handle : std::exchange(self.waiting, {})) self.reactor.ready(handle);
        return TimeNs{kSecond};
      },
      &committer);
  Scope scope;
  const auto body = [](Committer& at) -> Task<> {
    co_await at;
    co_await at;
  };
  scope.spawn(body(committer));
  scope.spawn(body(committer));
  reactor_.run_turn(kSecond);
  EXPECT_EQ(scope.running(), 0U);
  EXPECT_EQ(committer.commits, 2);
  EXPECT_EQ(reactor_.stats().turns, 1U);
}

TEST_F(ReactorTest, ASleepEndsAtTheNextTimer) {
  int fired = 0;
  Timer timer([](Timer&, void* context) { ++*static_cast<int*>(context); }, &fired);
  const TimeNs start_ns = reactor_.now_ns();
  reactor_.timers().arm(timer, start_ns + 50 * kMillisecond);
  reactor_.run_turn(kSecond);
  EXPECT_EQ(fired, 1);
  EXPECT_LE(reactor_.now_ns() - start_ns, 55 * kMillisecond);
}

TEST_F(ReactorTest, RunReturnsInTheTurnOfTheStop) {
  Scope scope;
  const auto body = [](Reactor& reactor) -> Task<> {
    co_await reactor.yield();
    reactor.stop();
  };
  scope.spawn(body(reactor_));
  const TimeNs before_ns = clock_.monotonic_ns();
  reactor_.run();
  EXPECT_EQ(scope.running(), 0U);
  EXPECT_EQ(clock_.monotonic_ns(), before_ns);  // it did not sleep first
}

/// A clock that goes on by itself, as the machine's does while somebody spins.
class TickingClock final : public Clock {
 public:
  [[nodiscard]] TimeNs monotonic_ns() const override { return now_ns_ += kMicrosecond; }
  [[nodiscard]] TimeNs realtime_ns() const override { return now_ns_; }

 private:
  mutable TimeNs now_ns_ = kSecond;
};

TEST_F(ReactorTest, SpinningLooksBeforeItSleepsAndSleepsInTheEnd) {
  TickingClock ticking;
  Reactor reactor(ring_, ticking, {.spin_ns = 20 * kMicrosecond, .operation_slots = 4});
  reactor.run_turn(kMillisecond);
  EXPECT_EQ(reactor.stats().sleeps, 1U);
  Noted noted;
  reactor.start(noted.operation, {.code = OpCode::poll, .fd = 1});
  ring_.complete(OpCode::poll, 1, 0);
  reactor.run_turn(kMillisecond);
  EXPECT_EQ(noted.seen.size(), 1U);
  EXPECT_EQ(reactor.stats().sleeps, 1U);  // the events were there: no sleep
}

TEST_F(ReactorTest, SpinsNoLongerThanATurnMayWait) {
  TickingClock ticking;
  Reactor reactor(ring_, ticking, {.spin_ns = 10 * kMillisecond, .operation_slots = 4});
  const TimeNs before_ns = ticking.monotonic_ns();
  reactor.run_turn(50 * kMicrosecond);
  EXPECT_LE(ticking.monotonic_ns() - before_ns, 200 * kMicrosecond);
}

TEST_F(ReactorTest, SpinsLessTheMoreATurnHasToDo) {
  TickingClock ticking;
  Reactor reactor(ring_, ticking, {.spin_ns = 800 * kMicrosecond, .operation_slots = 16});
  std::array<Noted, 16> noted;
  const auto busy_turn = [&](std::size_t completions) {
    for (std::size_t i = 0; i < completions; ++i) {
      const int fd = static_cast<int>(i) + 1;
      reactor.start(noted[i].operation, {.code = OpCode::poll, .fd = fd});
      ring_.complete(OpCode::poll, fd, 0);
    }
    reactor.run_turn(0);
  };
  const auto spun_ns = [&] {
    const TimeNs before_ns = ticking.monotonic_ns();
    reactor.run_turn(kMillisecond);
    return ticking.monotonic_ns() - before_ns;
  };
  for (int i = 0; i < 200; ++i) busy_turn(1);
  EXPECT_GE(spun_ns(), 800 * kMicrosecond);
  for (int i = 0; i < 200; ++i) busy_turn(16);
  EXPECT_LE(spun_ns(), 100 * kMicrosecond);
  for (int i = 0; i < 200; ++i) busy_turn(1);
  EXPECT_GE(spun_ns(), 200 * kMicrosecond);  // two spins in vain have halved it twice
}

TEST_F(ReactorTest, ATurnAllocatesNothing) {
  Scope scope;
  Noted noted;
  noted.seen.reserve(1000);
  std::vector<std::string> log;
  log.reserve(1000);
  const auto body = [](Reactor& reactor) -> Task<> { co_await reactor.yield(); };
  const auto turn = [&] {
    scope.spawn(body(reactor_));
    reactor_.run_turn(0);
  };
  for (int i = 0; i < 10; ++i) turn();
  const std::size_t before = testing::allocation_count();
  for (int i = 0; i < 100; ++i) turn();
  EXPECT_EQ(testing::allocation_count(), before);
  reactor_.run_turn(0);
}

using ReactorDeathTest = ReactorTest;

TEST_F(ReactorDeathTest, AnOperationMustNotDieInFlight) {
  EXPECT_DEATH(
      {
        Noted noted;
        reactor_.start(noted.operation, {.code = OpCode::poll, .fd = 1});
      },
      "in_flight");
}

}  // namespace
}  // namespace sluice::ring
