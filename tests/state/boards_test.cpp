#include "sluice/state/boards.hpp"

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <thread>

#include "scratch.hpp"
#include "sluice/state/gate.hpp"
#include "sluice/state/slots.hpp"

namespace sluice::state {
namespace {

std::unique_ptr<Boards> make_boards(const std::string& directory, std::uint32_t slots = 3) {
  std::string message;
  Boards::Shape shape;
  shape.uuid = {9};
  shape.epoch = 5;
  shape.slots = slots;
  shape.meter_entries = 64;
  auto boards = Boards::create(directory, shape, message);
  EXPECT_TRUE(boards) << message;
  return boards ? std::move(*boards) : nullptr;
}

TEST(Boards, WhatOneProcessWritesAnotherReads) {
  ScratchDirectory scratch;
  auto mine = make_boards(scratch.path());
  std::string message;
  auto theirs = Boards::attach(scratch.path(), message);
  ASSERT_TRUE(theirs) << message;
  EXPECT_EQ((*theirs)->shape().epoch, 5U);
  EXPECT_EQ((*theirs)->shape().slots, 3U);
  mine->shard(2).client_connections.store(17);
  EXPECT_EQ((*theirs)->shard(2).client_connections.load(), 17U);
  mine->meter(1).open(63, 8, 100);
  EXPECT_EQ((*theirs)->meter(1).hold_at(63), 8U);
  EXPECT_EQ((*theirs)->meter(0).hold_at(63), 0U);
  EXPECT_FALSE(Boards::create(scratch.path(), mine->shape(), message)) << "never over another";
}

TEST(MeterBoard, ShowsPhasesForwardOnlyWithinAnAttempt) {
  ScratchDirectory scratch;
  auto boards = make_boards(scratch.path());
  MeterBoard board = boards->meter(0);
  board.open(4, 77, 120);
  MeterView view = board.find(77).value();
  EXPECT_EQ(view.phase, price::Phase::reserved);
  EXPECT_EQ(view.attempt, 0);
  EXPECT_EQ(view.metered.input_estimate, 120);
  board.set_phase(4, price::Phase::streaming);
  board.set_phase(4, price::Phase::sent);
  board.set_counted_output(4, 33);
  view = board.find(77).value();
  EXPECT_EQ(view.phase, price::Phase::streaming) << "never back";
  EXPECT_EQ(view.metered.counted_output, 33);
  board.next_attempt(4, 12);
  view = board.find(77).value();
  EXPECT_EQ(view.phase, price::Phase::reserved);
  EXPECT_EQ(view.attempt, 1);
  EXPECT_EQ(view.channel_id, 12U);
  EXPECT_EQ(view.metered.counted_output, 0) << "counts of the old attempt are gone";
  price::TokenCounts counts;
  counts.input = 9;
  counts.cache_write_long = 7;
  counts.output = 5;
  counts.calls[1] = 2;
  board.set_usage(4, price::UsageState::final, counts);
  view = board.find(77).value();
  EXPECT_EQ(view.phase, price::Phase::final);
  EXPECT_EQ(view.metered.usage_state, price::UsageState::final);
  EXPECT_EQ(view.metered.usage, counts);
  board.close(4);
  EXPECT_EQ(board.find(77), std::nullopt);
}

TEST(MeterBoard, CountsOutOfRangeAreClampedAndNonsenseIsNotShown) {
  ScratchDirectory scratch;
  auto boards = make_boards(scratch.path());
  MeterBoard board = boards->meter(0);
  board.open(0, 1, -5);
  EXPECT_EQ(board.find(1)->metered.input_estimate, 0);
  board.set_counted_output(0, std::numeric_limits<Tokens>::max());
  EXPECT_EQ(board.find(1)->metered.counted_output, price::kMaxTokens);
  std::array<MeterEntry, 2> cells;
  MeterBoard own(cells);
  own.open(1, 5, 10);
  EXPECT_TRUE(own.find(5));
  cells[1].progress.store(200);  // no such phase
  EXPECT_EQ(own.find(5), std::nullopt);
  cells[1].progress.store(3U << 8);  // no such usage state
  EXPECT_EQ(own.find(5), std::nullopt);
  EXPECT_EQ(board.find(0), std::nullopt);
  EXPECT_EQ(board.read(64), std::nullopt);
}

TEST(RefusedRing, DropsWhenFullAndCounts) {
  ScratchDirectory scratch;
  auto boards = make_boards(scratch.path());
  RefusedRing& ring = boards->refused(1);
  RefusedRecord record;
  for (std::uint32_t i = 0; i < kRefusedRingRecords + 5; ++i) {
    record.bytes_in = i;
    EXPECT_EQ(ring.push(record), i < kRefusedRingRecords);
  }
  EXPECT_EQ(ring.dropped.load(), 5U);
  std::vector<RefusedRecord> out(700);
  ASSERT_EQ(ring.pop(out), 700U);
  EXPECT_EQ(out[699].bytes_in, 699U);
  ASSERT_EQ(ring.pop(out), kRefusedRingRecords - 700);
  EXPECT_EQ(ring.pop(out), 0U);
  ring.head.store(ring.tail.load() + kRefusedRingRecords + 1);
  EXPECT_EQ(ring.pop(out), 0U) << "a head that cannot be is not followed";
}

TEST(RefusedRing, OneWriterOneReaderLoseNothingButWhatIsCounted) {
  ScratchDirectory scratch;
  auto boards = make_boards(scratch.path());
  RefusedRing& ring = boards->refused(0);
  constexpr std::uint32_t kRecords = 50'000;
  std::thread writer([&] {
    RefusedRecord record;
    for (std::uint32_t i = 1; i <= kRecords; ++i) {
      record.bytes_in = i;
      ring.push(record);
    }
  });
  std::vector<RefusedRecord> out(64);
  std::uint64_t seen = 0;
  std::uint32_t last = 0;
  bool ascending = true;
  bool done = false;
  while (!done) {
    done = seen + ring.dropped.load() == kRecords;
    const std::size_t n = ring.pop(out);
    for (std::size_t i = 0; i < n; ++i) {
      ascending = ascending && out[i].bytes_in > last;
      last = out[i].bytes_in;
    }
    seen += n;
  }
  writer.join();
  EXPECT_TRUE(ascending);
  EXPECT_EQ(seen + ring.dropped.load(), kRecords);
}

TEST(Admission, StopsAtLagInMoneyOrAge) {
  AdmissionBlock block;
  EXPECT_EQ(admission_stop(block, 100 * kSecond), 0U);
  block.max_undrained_nanos.store(1000);
  block.max_undrained_age_ns.store(5 * kSecond);
  block.undrained_nanos.store(1000);
  EXPECT_EQ(admission_stop(block, 100 * kSecond), 0U);
  block.undrained_nanos.store(1001);
  EXPECT_EQ(admission_stop(block, 100 * kSecond), static_cast<std::uint32_t>(kStopUndrained));
  block.undrained_nanos.store(0);
  block.undrained_oldest_ns.store(95 * kSecond);
  EXPECT_EQ(admission_stop(block, 100 * kSecond), 0U);
  EXPECT_EQ(admission_stop(block, 100 * kSecond + 1), static_cast<std::uint32_t>(kStopUndrained))
      << "also when the reconciler is dead and writes nothing any more";
  block.undrained_oldest_ns.store(0);
  block.reconciler_heartbeat_ns.store(95 * kSecond);
  EXPECT_EQ(admission_stop(block, 100 * kSecond), 0U);
  EXPECT_EQ(admission_stop(block, 100 * kSecond + 1), static_cast<std::uint32_t>(kStopUndrained))
      << "also when it died with nothing undrained: nobody counts what comes now";
  block.reconciler_heartbeat_ns.store(0);
  block.stop.store(kStopOperator);
  EXPECT_EQ(admission_stop(block, 100 * kSecond), static_cast<std::uint32_t>(kStopOperator));
}

TEST(HealthBoard, MinimumLeavesOutWhoDoesNotServe) {
  ScratchDirectory scratch;
  auto boards = make_boards(scratch.path(), 4);
  const TimeNs now = 50 * kSecond;
  const auto set = [&](SlotId slot, ShardState state, TimeNs heartbeat, std::uint32_t connections) {
    ShardBlock& block = boards->shard(slot);
    block.state.store(static_cast<std::uint32_t>(state));
    block.heartbeat_ns.store(heartbeat);
    block.client_connections.store(connections);
  };
  EXPECT_EQ(min_client_connections(boards->shards(), now), std::nullopt);
  set(0, ShardState::serving, now, 9);
  set(1, ShardState::draining, now, 1);
  set(2, ShardState::serving, now - kSecond - 1, 0);
  set(3, ShardState::serving, now - kSecond, 12);
  EXPECT_EQ(min_client_connections(boards->shards(), now), 9U);
}

TEST(Gate, OneInsideOthersBusyAndADeathIsRecovered) {
  ScratchDirectory scratch;
  auto boards = make_boards(scratch.path());
  Gate& gate = boards->gate();
  EXPECT_EQ(gate.try_enter(1), Gate::Entry::entered);
  EXPECT_EQ(gate.holder(), 1U);
  std::thread other([&] {
    EXPECT_EQ(gate.try_enter(2), Gate::Entry::busy);
    const auto from = std::chrono::steady_clock::now();
    EXPECT_EQ(gate.enter(2, 20 * kMillisecond), Gate::Entry::busy);
    EXPECT_GE(std::chrono::steady_clock::now() - from, std::chrono::milliseconds(20));
  });
  other.join();
  gate.leave();
  EXPECT_EQ(gate.holder(), Gate::kNobody);
  EXPECT_EQ(in_child([&] {
              if (gate.try_enter(3) != Gate::Entry::entered) return 1;
              kill(getpid(), SIGKILL);
              return 2;
            }),
            128 + SIGKILL);
  EXPECT_EQ(gate.try_enter(1), Gate::Entry::entered_after_death);
  gate.leave();
  EXPECT_EQ(gate.try_enter(1), Gate::Entry::entered);
  gate.leave();
}

TEST(SlotLock, AllOfThemAtOnceOrNone) {
  ScratchDirectory scratch;
  auto slot = SlotLock::acquire(scratch.path(), kMaxSlots - 1);
  EXPECT_EQ(AllSlots::acquire(scratch.path()).error().code, Errc::conflict);
  slot->release();
  {
    const auto all = AllSlots::acquire(scratch.path());
    ASSERT_TRUE(all);
    EXPECT_EQ(SlotLock::acquire_any(scratch.path(), 5).error().code, Errc::full);
    EXPECT_EQ(all->slot(3).slot(), 3U);
    EXPECT_TRUE(slot_is_locked(scratch.path(), 3).value()) << "its name holds and frees nothing";
  }
  EXPECT_FALSE(any_slot_locked(scratch.path()).value());
}

TEST(SlotLock, OneOwnerAndFreeAfterADeath) {
  ScratchDirectory scratch;
  EXPECT_FALSE(any_slot_locked(scratch.path()).value());
  auto lock = SlotLock::acquire(scratch.path(), 3);
  ASSERT_TRUE(lock);
  EXPECT_TRUE(slot_is_locked(scratch.path(), 3).value());
  EXPECT_FALSE(slot_is_locked(scratch.path(), 2).value());
  EXPECT_TRUE(any_slot_locked(scratch.path()).value());
  EXPECT_EQ(SlotLock::acquire(scratch.path(), 3).error().code, Errc::conflict)
      << "also within one process";
  {
    auto other = SlotLock::acquire(scratch.path(), 2);
  }
  EXPECT_TRUE(slot_is_locked(scratch.path(), 3).value())
      << "closing another descriptor takes nothing away";
  auto any = SlotLock::acquire_any(scratch.path(), 5);
  ASSERT_TRUE(any);
  EXPECT_EQ(any->slot(), 0U);
  SlotLock moved = std::move(*lock);
  EXPECT_TRUE(slot_is_locked(scratch.path(), 3).value());
  moved.release();
  EXPECT_FALSE(slot_is_locked(scratch.path(), 3).value());
  EXPECT_EQ(in_child([&] {
              auto child = SlotLock::acquire(scratch.path(), 4);
              kill(getpid(), SIGKILL);
              return 0;
            }),
            128 + SIGKILL);
  EXPECT_FALSE(slot_is_locked(scratch.path(), 4).value());
  EXPECT_EQ(SlotLock::acquire(scratch.path(), kMaxSlots).error().code, Errc::bad_value);
}

TEST(EnvironmentLock, ThereIsOneReconciler) {
  ScratchDirectory scratch;
  auto first = EnvironmentLock::acquire(scratch.path());
  ASSERT_TRUE(first);
  EXPECT_EQ(EnvironmentLock::acquire(scratch.path()).error().code, Errc::conflict);
  {
    EnvironmentLock gone = std::move(*first);
  }
  EXPECT_TRUE(EnvironmentLock::acquire(scratch.path()));
}

}  // namespace
}  // namespace sluice::state
