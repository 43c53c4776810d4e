// A shard that dies: by kill -9 at a random instant, and at every crash point. What is left must
// add up, and the next holder of the slot closes it by what the board says.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <numeric>
#include <set>
#include <vector>

#include "model.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/state/inspect.hpp"
#include "sluice/state/verb_queue.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::state {
namespace {

constexpr Nanos kBalance = 1'000'000'000;
constexpr SlotId kSlotOfShard = 1;

const price::PriceRow& row() {
  static const price::PriceRow instance = [] {
    price::PriceRow r;
    r.version = 1;
    r.base = {4'000'000'000, 4'000'000'000, 4'000'000'000, 4'000'000'000, 20'000'000'000, {}};
    return r;
  }();
  return instance;
}

PriceLookup prices() {
  return {[](void*, std::uint64_t version) { return version == 1 ? &row() : nullptr; }, nullptr};
}

/// The books of one environment must add up, whatever happened.
void audit(Environment& environment) {
  StateCopy copy;
  ASSERT_TRUE(copy_state(environment, kCopyAll, copy));
  EXPECT_TRUE(copy.corrupt.empty());
  Nanos held = 0;
  for (const HoldRow& hold : copy.holds) {
    held += hold.record.state == HoldState::open ? hold.record.amount : 0;
  }
  Nanos paid = 0;
  std::set<std::uint64_t> closed;
  for (const OutboxRow& out : copy.outbox) {
    paid += out.record.charged + out.record.excess;
    EXPECT_TRUE(closed.insert(out.record.hold.seq).second) << "a hold closed twice (I3)";
    EXPECT_LE(out.record.charged, out.record.held) << "I4";
  }
  for (const HoldRow& hold : copy.holds)
    EXPECT_FALSE(closed.contains(hold.id.seq)) << "closed and still open";
  ASSERT_EQ(copy.wallets.size(), 1U);
  const WalletRecord& wallet = copy.wallets[0];
  EXPECT_TRUE(identity_holds(wallet)) << "I1";
  EXPECT_EQ(wallet.held, held);
  EXPECT_EQ(wallet.charged + wallet.excess, paid) << "every charge has its row";
  for (const CounterRecord& counters : copy.counters) {
    EXPECT_EQ(counters.in_flight, copy.holds.size());
    EXPECT_EQ(counters.total.reserved, held);
    EXPECT_EQ(counters.total.spent, paid);
  }
  std::uint64_t expected = 0;
  for (const OutboxRow& out : copy.outbox) EXPECT_EQ(out.id.seq, ++expected) << "I5";
  EXPECT_EQ(copy.slots[kSlotOfShard].outbox_seq, expected);
}

/// Verbs without end, until somebody kills us. Some exchanges are always open, in every phase.
/// `begun` gets a byte when the slot is ours.
int serve_for_ever(const std::string& directory, std::uint64_t seed, int begun) {
  std::string message;
  auto environment = open({directory}, message);
  auto slot = SlotLock::acquire(directory, kSlotOfShard);
  if (!environment || !slot || !reap_slot(**environment, *slot, prices())) return 1;
  if (::write(begun, "", 1) != 1) return 3;
  VerbQueue queue(**environment, *slot);
  MeterBoard board = (*environment)->boards().meter(kSlotOfShard);
  SeededRng rng(seed);
  struct Exchange {
    PendingVerb verb;
    OutboxRecord record;
    HoldId hold;
  };
  std::vector<Exchange> exchanges(48);
  for (;;) {
    const TimeNs now = system_clock().monotonic_ns();
    for (std::uint32_t i = 0; i < exchanges.size(); ++i) {
      Exchange& exchange = exchanges[i];
      if (rng.next_u64() % 3 == 0) continue;
      exchange.verb.done = [](PendingVerb&) noexcept {};
      exchange.verb.board_index = i;
      if (exchange.hold.seq == 0) {
        exchange.verb.verb = request(1, 1, 10'000);
        queue.submit(exchange.verb, now);
        continue;
      }
      board.set_phase(i, static_cast<price::Phase>(1 + rng.next_u64() % 3));
      board.set_counted_output(i, 2);
      const std::uint64_t what = rng.next_u64() % 4;
      if (what == 0)
        exchange.verb.verb = VoidVerb{exchange.hold, &exchange.record};
      else
        exchange.verb.verb = SettleVerb{exchange.hold, price::split(777, 777, 0), &exchange.record};
      queue.submit(exchange.verb, now);
    }
    while (!queue.empty()) queue.commit_turn(system_clock().monotonic_ns());
    for (Exchange& exchange : exchanges) {
      if (exchange.verb.error.code != Errc::none) return 2;
      exchange.hold = exchange.verb.outcome.outbox_seq == 0 ? exchange.verb.outcome.hold : HoldId();
    }
  }
}

TEST(Kill, TwentyRandomDeathsLoseNothing) {
  ScratchDirectory scratch;
  BuildOptions options = build_options(scratch.path(), 3);
  options.map_bytes = 128 * kMiB;
  build_and_open(options, 1, kBalance).reset();
  SeededRng rng(99);
  std::uint64_t rows = 0;
  for (std::uint64_t round = 0; round < 20; ++round) {
    int begun[2];
    ASSERT_EQ(pipe(begun), 0);
    const pid_t child = fork();
    if (child == 0) _exit(serve_for_ever(scratch.path(), round, begun[1]));
    ::close(begun[1]);
    char byte = 1;
    ASSERT_EQ(::read(begun[0], &byte, 1), 1) << "the shard did not start";
    ::close(begun[0]);
    usleep(static_cast<useconds_t>(15'000 + rng.next_u64() % 20'000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the shard gave up by itself: " << WEXITSTATUS(status);
    std::string message;
    auto environment = open({scratch.path()}, message);
    ASSERT_TRUE(environment) << message;
    audit(**environment);
    ASSERT_FALSE(HasFailure()) << "round " << round;
    rows = (*environment)->find_slot(kSlotOfShard)->outbox_seq;
  }
  EXPECT_GT(rows, 100U) << "the shards did work";
  // The last one's holds are closed by the next holder of the slot.
  std::string message;
  auto environment = open({scratch.path()}, message);
  auto slot = SlotLock::acquire(scratch.path(), kSlotOfShard);
  ASSERT_TRUE(slot) << "the lock went with its owner";
  ASSERT_TRUE(reap_slot(**environment, *slot, prices()));
  audit(**environment);
  const WalletRecord wallet = (*environment)->find_wallet(1)->value();
  EXPECT_EQ(wallet.held, 0);
  EXPECT_EQ((*environment)->find_counters(CounterKind::key, 1, 1)->value().in_flight, 0U);
  EXPECT_EQ((*environment)->find_slot(kSlotOfShard)->incarnation, 21U);
}

TEST(Reap, ChargesByThePhaseOnTheBoard) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path(), 3), 1, kBalance);
  struct Case {
    price::Phase phase;
    Nanos charged;
    std::uint32_t flags;
  };
  const Case cases[] = {
      {price::Phase::reserved, 0, price::kChargeVoid},
      {price::Phase::sending, 0, price::kChargeVoid},
      {price::Phase::sent, 100 * 4000, price::kChargeCrash | price::kChargeEstimated},
      {price::Phase::streaming, 100 * 4000 + 30 * 20000,
       price::kChargeCrash | price::kChargeEstimated},
      {price::Phase::final, 90 * 4000 + 40 * 20000, 0},
  };
  auto slot = SlotLock::acquire(scratch.path(), kSlotOfShard);
  VerbQueue queue(*environment, *slot);
  MeterBoard board = environment->boards().meter(kSlotOfShard);
  std::vector<PendingVerb> verbs(std::size(cases) + 1);
  for (std::uint32_t i = 0; i < verbs.size(); ++i) {
    ReserveVerb reserve = request(1, 1, 10'000'000);
    reserve.input_estimate = 100;
    verbs[i].verb = reserve;
    verbs[i].done = [](PendingVerb&) noexcept {};
    // The last one has no entry on the board at all: RESERVED.
    if (i < std::size(cases)) verbs[i].board_index = i;
    queue.submit(verbs[i], 1);
  }
  ASSERT_TRUE(queue.drain(kSecond));
  for (std::uint32_t i = 0; i < std::size(cases); ++i) {
    board.next_attempt(i, 5);
    board.set_phase(i, cases[i].phase);
    board.set_counted_output(i, 30);
    if (cases[i].phase == price::Phase::final) {
      price::TokenCounts usage;
      usage.input = 90;
      usage.output = 40;
      board.set_usage(i, price::UsageState::final, usage);
    }
  }
  const ReapTotals totals = reap_slot(*environment, *slot, prices()).value();
  EXPECT_EQ(totals.voided, 3U);
  EXPECT_EQ(totals.settled, 3U);
  audit(*environment);
  std::vector<OutboxRow> rows;
  ASSERT_EQ(read_outbox(*environment, kSlotOfShard, 0, 100, rows).value(), verbs.size());
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(rows[i].record.charged, cases[i].charged) << i;
    EXPECT_EQ(rows[i].record.flags, cases[i].flags) << i;
    EXPECT_EQ(rows[i].record.end, price::End::shard_died);
    EXPECT_EQ(rows[i].record.channel_id, 5U);
  }
  EXPECT_EQ(rows.back().record.charged, 0);
  EXPECT_EQ(board.hold_at(0), 0U) << "the board is clear for the next owner";
  EXPECT_EQ(reap_slot(*environment, *slot, prices())->settled, 0U) << "twice is harmless";
}

TEST(Reap, AMissingPriceChargesTheHoldAndSaysSo) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path(), 3), 1, kBalance);
  auto slot = SlotLock::acquire(scratch.path(), kSlotOfShard);
  VerbQueue queue(*environment, *slot);
  PendingVerb pending;
  pending.verb = request(1, 1, 5000);
  pending.board_index = 0;
  pending.done = [](PendingVerb&) noexcept {};
  queue.submit(pending, 1);
  ASSERT_TRUE(queue.drain(kSecond));
  environment->boards().meter(kSlotOfShard).set_phase(0, price::Phase::sent);
  EXPECT_EQ(reap_slot(*environment, *slot, {})->charged, 5000);
  std::vector<OutboxRow> rows;
  ASSERT_TRUE(read_outbox(*environment, kSlotOfShard, 0, 9, rows));
  EXPECT_NE(rows[0].record.flags & price::kChargePriceMissing, 0U);
}

TEST(Inspect, OutboxIsReadInOrderAndExpiryFindsWhatIsOverdue) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path(), 3), 1, kBalance);
  auto slot = SlotLock::acquire(scratch.path(), kSlotOfShard);
  VerbQueue queue(*environment, *slot);
  std::vector<PendingVerb> verbs(20);
  OutboxRecord record;
  for (PendingVerb& verb : verbs) {
    verb.verb = request(1, 1, 100);
    verb.done = [](PendingVerb&) noexcept {};
    queue.submit(verb, 1);
  }
  ASSERT_TRUE(queue.drain(kSecond));
  for (std::size_t i = 0; i < 10; ++i) {
    verbs[i].verb = SettleVerb{verbs[i].outcome.hold, price::split(10, 10, 0), &record};
    queue.submit(verbs[i], 1);
  }
  ASSERT_TRUE(queue.drain(kSecond));
  std::vector<OutboxRow> rows;
  EXPECT_EQ(read_outbox(*environment, kSlotOfShard, 3, 4, rows).value(), 4U);
  EXPECT_EQ(rows.front().id.seq, 4U);
  EXPECT_EQ(rows.back().id.seq, 7U);
  EXPECT_EQ(read_outbox(*environment, kSlotOfShard + 1, 0, 4, rows).value(), 0U)
      << "another slot's rows";
  std::vector<HoldId> overdue;
  const TimeNs deadline = request(1, 1, 0).deadline_ns;
  EXPECT_EQ(overdue_holds(*environment, deadline, 100, overdue).value(), 0U);
  EXPECT_EQ(overdue_holds(*environment, deadline + 1, 100, overdue).value(), 10U);
  Writer writer(*environment);
  EXPECT_EQ(writer.expire(overdue[0], deadline + 1)->verdict, Verdict::done);
  overdue.clear();
  EXPECT_EQ(overdue_holds(*environment, deadline + 1, 100, overdue).value(), 9U)
      << "a tombstone is no hold";
  EXPECT_EQ(writer.delete_drained(kSlotOfShard, 8).value(), 8U);
  rows.clear();
  EXPECT_EQ(read_outbox(*environment, kSlotOfShard, 0, 100, rows).value(), 2U);
}

// ---- every crash point ---------------------------------------------------------

/// What the child of EveryPoint does: a day in the life of a shard and its reconciler, in one
/// process.
int one_life(const std::string& directory) {
  std::string message;
  auto environment = open({directory}, message);
  auto slot = SlotLock::acquire(directory, kSlotOfShard);
  if (!environment || !slot) return 10;
  if (!reap_slot(**environment, *slot, prices())) return 11;
  VerbQueue queue(**environment, *slot);
  OutboxRecord record;
  std::vector<PendingVerb> verbs(4);
  for (std::uint32_t i = 0; i < verbs.size(); ++i) {
    verbs[i].verb = request(1, 1, 10'000);
    verbs[i].board_index = i;
    verbs[i].done = [](PendingVerb&) noexcept {};
    queue.submit(verbs[i], 1);
  }
  if (!queue.drain(kSecond)) return 12;
  const HoldId first = verbs[0].outcome.hold;
  const HoldId second = verbs[1].outcome.hold;
  verbs[0].verb = SettleVerb{first, price::split(500, 500, 0), &record};
  verbs[1].verb = VoidVerb{second, &record};
  verbs[2].verb = ExtendVerb{verbs[2].outcome.hold, 10, 0, {5, 2}, {5, 2}};
  for (std::size_t i = 0; i < 3; ++i) queue.submit(verbs[i], 1);
  if (!queue.drain(kSecond)) return 13;
  Writer writer(**environment);
  const DeltaVerb delta{1, (*environment)->find_wallet(1)->value().applied_no + 1, 100};
  if (writer.publish_deltas(std::span(&delta, 1)).committed != 1) return 14;
  if (!writer.set_published((*environment)->read_meta()->published_generation + 1)) return 15;
  return 0;
}

TEST(DISABLED_CrashChild, Run) {
  const char* directory = std::getenv("SLUICE_TEST_DIRECTORY");
  ASSERT_NE(directory, nullptr);
  _exit(one_life(directory));
}

int run_child(const std::string& directory, unsigned crash_at) {
  return in_child([&] {
    setenv("SLUICE_TEST_DIRECTORY", directory.c_str(), 1);
    setenv("SLUICE_CRASH_AT", std::to_string(crash_at).c_str(), 1);
    execl("/proc/self/exe", "state_test", "--gtest_filter=DISABLED_CrashChild.Run",
          "--gtest_also_run_disabled_tests", "--gtest_brief=1", nullptr);
    return 99;
  });
}

TEST(Crash, EveryPointLeavesBooksThatAddUp) {
  ScratchDirectory scratch;
  build_and_open(build_options(scratch.path(), 3), 1, kBalance).reset();
  unsigned points = 0;
  for (unsigned n = 1; n < 100; ++n) {
    const int status = run_child(scratch.path(), n);
    std::string message;
    auto environment = open({scratch.path()}, message);
    ASSERT_TRUE(environment) << message;
    audit(**environment);
    ASSERT_FALSE(HasFailure()) << "crash point " << n;
    if (status == 0) break;
    ASSERT_EQ(status, 128 + SIGKILL) << "crash point " << n;
    points = n;
  }
  EXPECT_GE(points, 10U) << "reap, two commits, delta, generation: two points each";
  EXPECT_LT(points, 99U);
}

}  // namespace
}  // namespace sluice::state
