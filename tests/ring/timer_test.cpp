#include "sluice/ring/timer.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace sluice::ring {
namespace {

constexpr TimeNs kSlot = TimerWheel::kSlotNs;
constexpr TimeNs kRound = kSlot * static_cast<TimeNs>(TimerWheel::kSlots);

struct Probe {
  TimerWheel& wheel;
  std::vector<TimeNs> fired_ns;
  TimeNs now_ns = 0;
  Timer timer{[](Timer&, void* context) {
                auto& self = *static_cast<Probe*>(context);
                self.fired_ns.push_back(self.now_ns);
              },
              this};
  explicit Probe(TimerWheel& of) : wheel(of) {}
};

void advance(TimerWheel& wheel, Probe& probe, TimeNs now_ns) {
  probe.now_ns = now_ns;
  wheel.advance(now_ns);
}

TEST(TimerWheel, FiresOnceNeverEarlyAndAtMostOneSlotLate) {
  for (const TimeNs deadline_ns : {TimeNs{1}, kSlot - 1, kSlot, kSlot + 1, 10 * kSlot + 7,
                                   kRound - 1, kRound, kRound + 1, 3 * kRound + 5}) {
    TimerWheel wheel(0);
    Probe probe(wheel);
    wheel.arm(probe.timer, deadline_ns);
    for (TimeNs now_ns = 0; now_ns <= deadline_ns + 2 * kRound; now_ns += kSlot / 4) {
      advance(wheel, probe, now_ns);
      if (now_ns < deadline_ns) EXPECT_TRUE(probe.fired_ns.empty()) << deadline_ns;
    }
    ASSERT_EQ(probe.fired_ns.size(), 1U) << deadline_ns;
    EXPECT_GE(probe.fired_ns[0], deadline_ns);
    EXPECT_LE(probe.fired_ns[0], deadline_ns + kSlot);
    EXPECT_FALSE(probe.timer.armed());
    EXPECT_EQ(wheel.armed(), 0U);
  }
}

TEST(TimerWheel, ALongPauseFiresEverythingThatIsDue) {
  TimerWheel wheel(0);
  Probe soon(wheel);
  Probe later(wheel);
  Probe far(wheel);
  wheel.arm(soon.timer, kSlot);
  wheel.arm(later.timer, kRound - kSlot);
  wheel.arm(far.timer, 5 * kRound);
  wheel.advance(2 * kRound);
  EXPECT_EQ(soon.fired_ns.size(), 1U);
  EXPECT_EQ(later.fired_ns.size(), 1U);
  EXPECT_EQ(far.fired_ns.size(), 0U);
  wheel.advance(5 * kRound + kSlot);
  EXPECT_EQ(far.fired_ns.size(), 1U);
}

TEST(TimerWheel, ADeadlineThatHasPassedFiresAtTheNextSlot) {
  TimerWheel wheel(100 * kSlot);
  Probe probe(wheel);
  wheel.arm(probe.timer, 5);
  advance(wheel, probe, 101 * kSlot);
  EXPECT_EQ(probe.fired_ns.size(), 1U);
}

TEST(TimerWheel, MovedLaterItFiresAtTheNewDeadlineOnly) {
  TimerWheel wheel(0);
  Probe probe(wheel);
  wheel.arm(probe.timer, 2 * kSlot);
  wheel.arm(probe.timer, 20 * kSlot);
  wheel.arm(probe.timer, 30 * kSlot + 1);
  for (TimeNs now_ns = 0; now_ns < 30 * kSlot; now_ns += kSlot) advance(wheel, probe, now_ns);
  EXPECT_TRUE(probe.fired_ns.empty());
  advance(wheel, probe, 31 * kSlot);
  EXPECT_EQ(probe.fired_ns.size(), 1U);
}

TEST(TimerWheel, MovedEarlierItFiresAtTheNewDeadline) {
  TimerWheel wheel(0);
  Probe probe(wheel);
  wheel.arm(probe.timer, 50 * kSlot);
  wheel.arm(probe.timer, 3 * kSlot);
  advance(wheel, probe, 4 * kSlot);
  ASSERT_EQ(probe.fired_ns.size(), 1U);
  advance(wheel, probe, 60 * kSlot);
  EXPECT_EQ(probe.fired_ns.size(), 1U);
}

// Later first, then earlier than that but later than where it is linked.
TEST(TimerWheel, MovedLaterAndBackItFiresAtTheLastDeadline) {
  TimerWheel wheel(0);
  Probe probe(wheel);
  wheel.arm(probe.timer, 2 * kSlot);
  wheel.arm(probe.timer, 40 * kSlot);
  wheel.arm(probe.timer, 10 * kSlot);
  advance(wheel, probe, 9 * kSlot);
  EXPECT_TRUE(probe.fired_ns.empty());
  advance(wheel, probe, 11 * kSlot);
  EXPECT_EQ(probe.fired_ns.size(), 1U);
}

TEST(TimerWheel, ADisarmedTimerNeverFires) {
  TimerWheel wheel(0);
  Probe probe(wheel);
  wheel.arm(probe.timer, 2 * kSlot);
  probe.timer.disarm();
  EXPECT_FALSE(probe.timer.armed());
  wheel.advance(2 * kRound);
  EXPECT_TRUE(probe.fired_ns.empty());
}

TEST(TimerWheel, ADestroyedTimerIsForgotten) {
  TimerWheel wheel(0);
  Probe stays(wheel);
  {
    Probe goes(wheel);
    wheel.arm(goes.timer, kSlot);
    wheel.arm(stays.timer, kSlot);
  }
  EXPECT_EQ(wheel.armed(), 1U);
  wheel.advance(3 * kSlot);
  EXPECT_EQ(stays.fired_ns.size(), 1U);
}

// Every timer of the slot takes away all others when it fires: exactly one may fire, whichever is
// first.
TEST(TimerWheel, ACallbackMayDisarmTheOthersOfItsSlot) {
  struct Group {
    std::vector<std::unique_ptr<Timer>> timers;
    int fired = 0;
  } group;
  for (int i = 0; i < 5; ++i) {
    group.timers.push_back(std::make_unique<Timer>(
        [](Timer&, void* context) {
          auto& self = *static_cast<Group*>(context);
          ++self.fired;
          for (const auto& timer : self.timers) timer->disarm();
        },
        &group));
  }
  TimerWheel wheel(0);
  for (const auto& timer : group.timers) wheel.arm(*timer, kSlot / 2);
  wheel.advance(10 * kSlot);
  EXPECT_EQ(group.fired, 1);
  EXPECT_EQ(wheel.armed(), 0U);
}

TEST(TimerWheel, ACallbackMayDestroyItsOwnTimer) {
  struct Owner {
    std::unique_ptr<Timer> timer;
  } owner;
  owner.timer = std::make_unique<Timer>(
      [](Timer&, void* context) { static_cast<Owner*>(context)->timer.reset(); }, &owner);
  TimerWheel wheel(0);
  Probe neighbour(wheel);
  wheel.arm(neighbour.timer, kSlot);
  wheel.arm(*owner.timer, kSlot);
  wheel.advance(3 * kSlot);
  EXPECT_EQ(owner.timer, nullptr);
  EXPECT_EQ(neighbour.fired_ns.size(), 1U);
}

// A callback that arms a deadline in the past is called again at a later advance, not for ever in
// this one.
TEST(TimerWheel, ACallbackMayArmItselfAgain) {
  struct Again {
    TimerWheel* wheel;
    int fired = 0;
    Timer timer{[](Timer& timer, void* context) {
                  auto& self = *static_cast<Again*>(context);
                  ++self.fired;
                  self.wheel->arm(timer, 1);
                },
                this};
  };
  TimerWheel wheel(0);
  Again again{.wheel = &wheel};
  wheel.arm(again.timer, 1);
  wheel.advance(10 * kSlot);
  EXPECT_EQ(again.fired, 1);
  wheel.advance(11 * kSlot);
  EXPECT_EQ(again.fired, 2);
}

TEST(TimerWheel, TheWaitEndsWithTheSlotOfTheNextDeadline) {
  TimerWheel wheel(0);
  EXPECT_EQ(wheel.wait_ns(0, kSecond), kSecond);
  Probe probe(wheel);
  wheel.arm(probe.timer, 5 * kSlot + 10);
  EXPECT_EQ(wheel.wait_ns(0, kSecond), 6 * kSlot);
  EXPECT_EQ(wheel.wait_ns(kSlot / 2, kSecond), 6 * kSlot - kSlot / 2);
  EXPECT_EQ(wheel.wait_ns(0, kSlot), kSlot);
  EXPECT_EQ(wheel.wait_ns(100 * kSlot, kSecond), 0);
}

// Sleeping for wait_ns() again and again reaches every deadline in time.
TEST(TimerWheel, WaitingAndAdvancingMissesNoDeadline) {
  std::mt19937_64 random(7);
  TimerWheel wheel(kSecond);
  struct Expect {
    TimeNs deadline_ns = 0;
    TimeNs* now_ns = nullptr;
    int fired = 0;
    Timer timer{[](Timer&, void* context) {
                  auto& self = *static_cast<Expect*>(context);
                  ++self.fired;
                  EXPECT_GE(*self.now_ns, self.deadline_ns);
                  EXPECT_LE(*self.now_ns, self.deadline_ns + kSlot);
                },
                this};
  };
  TimeNs now_ns = kSecond;
  std::vector<std::unique_ptr<Expect>> all;
  for (int i = 0; i < 300; ++i) {
    all.push_back(std::make_unique<Expect>());
    all.back()->now_ns = &now_ns;
    all.back()->deadline_ns = now_ns + 1 + static_cast<TimeNs>(random() % (2 * kRound));
    wheel.arm(all.back()->timer, all.back()->deadline_ns);
  }
  int turns = 0;
  while (wheel.armed() > 0 && ++turns < 100'000) {
    now_ns += wheel.wait_ns(now_ns, 100 * kMillisecond);
    wheel.advance(now_ns);
  }
  for (const auto& one : all) EXPECT_EQ(one->fired, 1);
}

// The wheel against a plain list of deadlines, with random moves, disarms and pauses.
TEST(TimerWheel, AgreesWithAListOfDeadlines) {
  std::mt19937_64 random(11);
  TimerWheel wheel(0);
  struct Entry {
    TimeNs due_ns = 0;
    int fired = 0;
    Timer timer{[](Timer&, void* context) { ++static_cast<Entry*>(context)->fired; }, this};
  };
  std::vector<std::unique_ptr<Entry>> all;
  for (int i = 0; i < 40; ++i) all.push_back(std::make_unique<Entry>());
  TimeNs now_ns = 0;
  for (int step = 0; step < 20'000; ++step) {
    Entry& entry = *all[random() % all.size()];
    switch (random() % 4) {
      case 0:
      case 1:
        entry.due_ns =
            now_ns + 1 +
            static_cast<TimeNs>(random() % static_cast<std::uint64_t>(kRound + 5 * kSlot));
        wheel.arm(entry.timer, entry.due_ns);
        break;
      case 2:
        entry.due_ns = 0;
        entry.timer.disarm();
        break;
      default:
        now_ns += static_cast<TimeNs>(random() % static_cast<std::uint64_t>(6 * kSlot));
        wheel.advance(now_ns);
    }
    for (const auto& one : all) {
      ASSERT_LE(one->fired, 1);
      if (one->fired == 1) {
        ASSERT_GT(one->due_ns, 0);
        ASSERT_LE(one->due_ns, now_ns);
        one->due_ns = 0;
        one->fired = 0;
      } else if (one->due_ns > 0) {
        ASSERT_GT(one->due_ns + 2 * kSlot, now_ns) << "overdue";
      }
    }
  }
}

}  // namespace
}  // namespace sluice::ring
