#include "sluice/policy/breaker.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace sluice::policy {
namespace {

using state::BreakerPhase;
using state::BreakerWord;
using state::HealthEntry;

constexpr TimeNs kStart = 1000 * kSecond;

BreakerWord word_of(const HealthEntry& entry) {
  return state::unpack_breaker(entry.breaker.load());
}

TEST(HealthWords, SurviveTheirPacking) {
  for (const auto phase : {BreakerPhase::closed, BreakerPhase::open, BreakerPhase::probing}) {
    const BreakerWord word{phase, 15, 255, 63, (std::int64_t{1} << 44) - 1};
    EXPECT_EQ(state::unpack_breaker(state::pack(word)), word);
  }
  EXPECT_EQ(state::unpack_breaker(0), BreakerWord{});
  EXPECT_EQ(state::unpack_breaker(~std::uint64_t{0}).phase, BreakerPhase::closed);
  const state::FaultWindow window{0xFF'FFFF, state::kMostInWindow, 7};
  EXPECT_EQ(state::unpack_window(state::pack(window)), window);
}

TEST(HealthEntries, OneASubjectWhoeverAsksFirst) {
  std::vector<HealthEntry> entries(8);
  HealthEntry* channel = health_of(entries, state::HealthKind::channel, 7);
  HealthEntry* key = health_of(entries, state::HealthKind::provider_key, 7);
  ASSERT_NE(channel, nullptr);
  ASSERT_NE(key, nullptr);
  EXPECT_NE(channel, key);
  EXPECT_EQ(health_of(entries, state::HealthKind::channel, 7), channel);
  EXPECT_EQ(channel->kind(), state::HealthKind::channel);
  EXPECT_EQ(key->id(), 7U);
  for (std::uint32_t id = 100; id < 106; ++id)
    EXPECT_NE(health_of(entries, state::HealthKind::channel, id), nullptr);
  EXPECT_EQ(health_of(entries, state::HealthKind::channel, 106), nullptr);
}

TEST(HealthEntries, AreSharedByWritersThatRace) {
  std::vector<HealthEntry> entries(64);
  std::array<std::array<HealthEntry*, 40>, 4> seen{};
  std::vector<std::thread> threads;
  for (auto& row : seen) {
    threads.emplace_back([&entries, &row] {
      for (std::uint32_t id = 0; id < row.size(); ++id)
        row[id] = health_of(entries, state::HealthKind::channel, id + 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& row : seen) EXPECT_EQ(row, seen.front());
}

TEST(Breaker, OpensAfterFiveFaultsInARow) {
  HealthEntry entry;
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(note_fault(&entry, Fault::broke, kStart));
  EXPECT_TRUE(may_use(&entry, kStart));
  EXPECT_TRUE(note_fault(&entry, Fault::overloaded, kStart));
  EXPECT_FALSE(may_use(&entry, kStart));
  EXPECT_EQ(entry.ejections.load(), 1U);
  EXPECT_EQ(word_of(entry).cause, static_cast<std::uint8_t>(Fault::overloaded));
}

TEST(Breaker, ASuccessBetweenStartsTheCountAnew) {
  HealthEntry entry;
  for (int i = 0; i < 4; ++i) note_fault(&entry, Fault::broke, kStart);
  note_success(&entry, kStart);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(note_fault(&entry, Fault::broke, kStart));
}

TEST(Breaker, OpensWhenHalfOfAWindowGoesWrong) {
  HealthEntry entry;
  add_attempts(entry, 11, kStart);
  bool opened = false;
  int faults = 0;
  for (; faults < 30 && !opened; ++faults) {
    note_success(&entry, kStart);  // never five in a row
    opened = note_fault(&entry, Fault::overloaded, kStart);
  }
  EXPECT_EQ(faults, 11);
  HealthEntry quiet;
  add_attempts(quiet, 100, kStart);
  for (int i = 0; i < 40; ++i) {
    note_success(&quiet, kStart);
    EXPECT_FALSE(note_fault(&quiet, Fault::overloaded, kStart));
  }
}

TEST(Breaker, AKeysFaultOpensAtOnceAndRestsByItsKind) {
  for (const auto& [fault, rest_ns] :
       {std::pair{Fault::rate, 2 * kSecond}, std::pair{Fault::key_bad, 60 * kSecond},
        std::pair{Fault::no_money, 60 * kSecond}}) {
    HealthEntry entry;
    EXPECT_TRUE(note_fault(&entry, fault, kStart));
    EXPECT_FALSE(may_use(&entry, kStart + rest_ns - kMillisecond));
    EXPECT_TRUE(may_use(&entry, kStart + rest_ns));
  }
}

TEST(Breaker, KeepsTheTimeThatTheProviderAskedFor) {
  HealthEntry entry;
  EXPECT_TRUE(note_fault(&entry, Fault::rate, kStart, 20 * kSecond));
  EXPECT_FALSE(may_use(&entry, kStart + 19 * kSecond));
  EXPECT_TRUE(may_use(&entry, kStart + 20 * kSecond));
  // A later answer of a request that was under way asks for more.
  note_fault(&entry, Fault::rate, kStart + kSecond, 30 * kSecond);
  EXPECT_FALSE(may_use(&entry, kStart + 30 * kSecond));
  EXPECT_TRUE(may_use(&entry, kStart + 31 * kSecond));
  HealthEntry absurd;
  note_fault(&absurd, Fault::overloaded, kStart, 1'000'000 * kSecond);
  EXPECT_TRUE(may_use(&absurd, kStart + 3600 * kSecond));
}

TEST(Breaker, LetsOneProbeThroughAndBacksOffWhenItFails) {
  HealthEntry entry;
  TimeNs now_ns = kStart;
  note_fault(&entry, Fault::rate, now_ns);
  TimeNs rest_ns = 2 * kSecond;
  for (int i = 0; i < 5; ++i) {
    now_ns += rest_ns;
    EXPECT_TRUE(take(&entry, now_ns, false));
    EXPECT_FALSE(take(&entry, now_ns, false)) << "one probe at a time";
    EXPECT_FALSE(may_use(&entry, now_ns));
    EXPECT_TRUE(note_fault(&entry, Fault::rate, now_ns));
    rest_ns = std::min(2 * rest_ns, 60 * kSecond);
    EXPECT_FALSE(may_use(&entry, now_ns + rest_ns - kMillisecond));
  }
}

TEST(Breaker, AProbeThatGoesWellClosesIt) {
  HealthEntry entry;
  note_fault(&entry, Fault::rate, kStart);
  ASSERT_TRUE(take(&entry, kStart + 2 * kSecond, false));
  note_success(&entry, kStart + 3 * kSecond);
  EXPECT_EQ(word_of(entry).phase, BreakerPhase::closed);
  // It fails again soon: the back-off goes on where it was. After a long rest it begins anew.
  note_fault(&entry, Fault::rate, kStart + 4 * kSecond);
  EXPECT_FALSE(may_use(&entry, kStart + 7 * kSecond));
  ASSERT_TRUE(take(&entry, kStart + 8 * kSecond, false));
  note_success(&entry, kStart + 8 * kSecond);
  note_fault(&entry, Fault::rate, kStart + 400 * kSecond);
  EXPECT_TRUE(may_use(&entry, kStart + 402 * kSecond));
}

TEST(Breaker, AProbeThatIsLostOrGivenBackDoesNotStopTheNext) {
  HealthEntry entry;
  note_fault(&entry, Fault::rate, kStart);
  ASSERT_TRUE(take(&entry, kStart + 2 * kSecond, false));
  release(&entry, kStart + 2 * kSecond);
  ASSERT_TRUE(take(&entry, kStart + 2 * kSecond, false));
  // Its shard is killed: the lease ends by itself.
  EXPECT_FALSE(take(&entry, kStart + 31 * kSecond, false));
  EXPECT_TRUE(take(&entry, kStart + 32 * kSecond, false));
}

TEST(Breaker, WhatWasUnderWayWhenItOpenedDoesNotCloseIt) {
  HealthEntry entry;
  note_fault(&entry, Fault::rate, kStart);
  note_success(&entry, kStart);
  EXPECT_FALSE(may_use(&entry, kStart));
}

TEST(Breaker, TheLastWayIsTakenBeforeItsTime) {
  HealthEntry entry;
  note_fault(&entry, Fault::key_bad, kStart);
  EXPECT_FALSE(take(&entry, kStart, false));
  EXPECT_TRUE(take(&entry, kStart, true));
  EXPECT_TRUE(take(&entry, kStart, true)) << "by as many as have no other";
  note_success(&entry, kStart);
  EXPECT_TRUE(may_use(&entry, kStart));
}

TEST(Breaker, OfEightThreadsOneProbes) {
  for (int round = 0; round < 200; ++round) {
    HealthEntry entry;
    note_fault(&entry, Fault::rate, kStart);
    std::atomic<int> probes{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] { probes += take(&entry, kStart + 2 * kSecond, false) ? 1 : 0; });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(probes, 1);
  }
}

TEST(Breaker, CountsOfThreadsAreNotLost) {
  HealthEntry entry;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5000; ++n) add_attempts(entry, 1, kStart);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(entry.successes.load(), 20'000U);
  EXPECT_EQ(state::unpack_window(entry.window.load()).attempts, 20'000U);
}

TEST(Faults, ClassDecidesAndStatusOnlyWhereThereIsNone) {
  using dialect::ErrorClass;
  EXPECT_EQ(fault_of(ErrorClass::caller, 500), Fault::none);
  EXPECT_EQ(fault_of(ErrorClass::no_money, 400), Fault::no_money);
  EXPECT_EQ(fault_of(ErrorClass::key_bad, 400), Fault::key_bad);
  EXPECT_EQ(fault_of(ErrorClass::rate, 200), Fault::rate);
  EXPECT_EQ(fault_of(ErrorClass::overloaded, 404), Fault::overloaded);
  EXPECT_EQ(fault_of(ErrorClass::unknown, 520), Fault::overloaded);
  EXPECT_EQ(fault_of(ErrorClass::unknown, 418), Fault::none);
}

TEST(FirstTokens, TheAverageFollowsTheSamples) {
  HealthEntry entry;
  add_first_tokens(entry, 1, 1000);
  EXPECT_EQ(entry.first_token_us.load(), 1000U);
  add_first_tokens(entry, 1, 9000);
  EXPECT_EQ(entry.first_token_us.load(), 2000U);
  add_first_tokens(entry, 100, 500);
  EXPECT_EQ(entry.first_token_us.load(), 500U);
}

}  // namespace
}  // namespace sluice::policy
