#include "sluice/state/verb_queue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "model.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/state/gate.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::state {
namespace {

/// A queue over tables in memory, with everything it needs.
class Queue : public ::testing::Test {
 protected:
  Queue() {
    EXPECT_TRUE(gate.initialize());
    model.add_wallet(1, 1'000'000);
    model.add_key(10, 1);
    store.tables() = model.tables();
    queue = std::make_unique<VerbQueue>(QueueParts{&store, &gate, MeterBoard(cells), &block,
                                                   &admission, Model::kSlot, Model::kEpoch});
  }

  struct Asked {
    PendingVerb verb;
    OutboxRecord record;
    int completed = 0;
    std::vector<Asked*>* order = nullptr;
  };

  static void note(PendingVerb& self) noexcept {
    auto* asked = static_cast<Asked*>(self.context);
    ++asked->completed;
    if (asked->order != nullptr) asked->order->push_back(asked);
  }

  std::unique_ptr<Asked> ask(decltype(PendingVerb::verb) verb,
                             std::uint32_t board_index = kNoBoardEntry) {
    auto asked = std::make_unique<Asked>();
    asked->verb.verb = verb;
    asked->verb.board_index = board_index;
    asked->verb.done = note;
    asked->verb.context = asked.get();
    asked->order = &order;
    if (auto* settle = std::get_if<SettleVerb>(&asked->verb.verb)) settle->record = &asked->record;
    queue->submit(asked->verb, now);
    return asked;
  }
  std::unique_ptr<Asked> settle(const HoldId& hold, Nanos cost,
                                std::uint32_t board_index = kNoBoardEntry) {
    return ask(SettleVerb{hold, price::split(cost, cost, 0), nullptr}, board_index);
  }
  HoldId held(Nanos amount, std::uint32_t board_index = kNoBoardEntry) {
    auto asked = ask(request(10, 1, amount), board_index);
    EXPECT_EQ(queue->commit_turn(now), VerbQueue::Turn::committed);
    return asked->verb.outcome.hold;
  }
  WalletRecord wallet() {
    return load<WalletRecord>(store.tables(), Table::accounts, span_of(wallet_key(1)))->record;
  }
  std::uint64_t metric(Metric which) {
    return block.metrics[static_cast<std::size_t>(which)].load();
  }

  Model model;
  MemoryStore store;
  Gate gate;
  std::array<MeterEntry, 64> cells;
  ShardBlock block;
  AdmissionBlock admission;
  std::unique_ptr<VerbQueue> queue;
  std::vector<Asked*> order;
  TimeNs now = 10 * kSecond;
};

TEST_F(Queue, OneTransactionATurnClosersFirstThenExtendsThenReserves) {
  const HoldId a = held(100);
  const HoldId b = held(100);
  order.clear();
  const std::uint64_t before = store.commits();
  auto reserve = ask(request(10, 1, 5));
  auto extend = ask(ExtendVerb{b, 7, 0, {5, 2}, {5, 2}});
  auto close = settle(a, 50);
  EXPECT_EQ(queue->size(), 3U);
  EXPECT_EQ(queue->commit_turn(now), VerbQueue::Turn::committed);
  EXPECT_EQ(store.commits(), before + 1);
  EXPECT_EQ(order, (std::vector<Asked*>{close.get(), extend.get(), reserve.get()}));
  EXPECT_EQ(close->verb.outcome.charge.charged, 50);
  EXPECT_EQ(extend->verb.outcome.extensions, 1U);
  EXPECT_EQ(reserve->verb.outcome.hold.seq, 3U);
  EXPECT_EQ(queue->commit_turn(now), VerbQueue::Turn::idle);
}

TEST_F(Queue, AtMostThirtyTwoVerbsATurn) {
  std::vector<std::unique_ptr<Asked>> asked;
  for (int i = 0; i < 70; ++i) asked.push_back(ask(request(10, 1, 1)));
  EXPECT_EQ(queue->commit_turn(now), VerbQueue::Turn::committed);
  EXPECT_EQ(queue->size(), 38U);
  EXPECT_TRUE(queue->drain(kSecond));
  EXPECT_EQ(store.commits(), 3U);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(asked[i]->completed, 1);
    EXPECT_EQ(asked[i]->verb.outcome.hold.seq, i + 1) << "first come, first served";
  }
}

TEST_F(Queue, TheBoardIsOpenedBeforeTheCommitAndClosedAfterTheEnd) {
  const HoldId hold = held(100, 7);
  MeterBoard board(cells);
  EXPECT_EQ(board.hold_at(7), hold.seq);
  auto close = settle(hold, 10, 7);
  queue->commit_turn(now);
  EXPECT_EQ(board.hold_at(7), 0U);
  auto refused = ask(request(10, 1, 100'000'000), 8);
  queue->commit_turn(now);
  EXPECT_EQ(refused->verb.outcome.limit, Limit::balance);
  EXPECT_EQ(board.hold_at(8), 0U);
}

TEST_F(Queue, ABusyGateIsTriedAndOnlyBlocksAfterAMillisecond) {
  std::thread holder([&] { ASSERT_EQ(gate.try_enter(99), Gate::Entry::entered); });
  // A robust mutex whose owner thread has ended is recovered: keep the owner alive instead.
  holder.join();
  ASSERT_EQ(gate.try_enter(1), Gate::Entry::entered_after_death);
  auto reserve = ask(request(10, 1, 5));
  std::thread other([&] {
    EXPECT_EQ(queue->commit_turn(now), VerbQueue::Turn::busy);
    EXPECT_EQ(metric(Metric::gate_busy_turns), 1U);
    EXPECT_EQ(metric(Metric::gate_waits), 0U);
    EXPECT_EQ(queue->commit_turn(now + 2 * kMillisecond), VerbQueue::Turn::busy)
        << "blocked, in vain";
    EXPECT_EQ(metric(Metric::gate_waits), 1U);
    EXPECT_GE(metric(Metric::gate_wait_ns), 50U * kMillisecond);
  });
  other.join();
  EXPECT_EQ(reserve->completed, 0);
  gate.leave();
  EXPECT_EQ(queue->commit_turn(now), VerbQueue::Turn::committed);
  EXPECT_EQ(reserve->completed, 1);
}

TEST_F(Queue, AStaleEpochIsToldToEveryVerb) {
  const HoldId hold = held(10);
  store.fail_begin({Errc::stale_epoch});
  auto close = settle(hold, 5);
  auto reserve = ask(request(10, 1, 5));
  queue->commit_turn(now);
  EXPECT_EQ(close->verb.error.code, Errc::stale_epoch);
  EXPECT_EQ(reserve->verb.error.code, Errc::stale_epoch);
  EXPECT_TRUE(queue->empty());
}

TEST_F(Queue, ErrorsOfOneVerbDoNotHarmTheOthers) {
  auto nobody = ask(request(77, 1, 5));
  auto unknown = settle(HoldId(Model::kEpoch, Model::kSlot, 500), 5);
  auto good = ask(request(10, 1, 5));
  queue->commit_turn(now);
  EXPECT_EQ(nobody->verb.error.code, Errc::not_found);
  EXPECT_EQ(unknown->verb.error.code, Errc::not_found);
  EXPECT_EQ(good->verb.error.code, Errc::none);
  EXPECT_EQ(good->verb.outcome.verdict, Verdict::done);
}

TEST_F(Queue, AWriteThatFailsRepeatsSettlesAloneAndAnswersTheRest) {
  for (std::uint64_t n = 1; n <= 11; ++n) {  // six of the settle, five of the reserve
    SCOPED_TRACE(n);
    const HoldId c = held(50, 3);
    auto first = settle(c, 20, 3);
    auto reserve = ask(request(10, 1, 5), 4);
    const Nanos charged = wallet().charged;
    const Nanos held_before = wallet().held;
    store.tables().fail_at(n);
    queue->commit_turn(now);
    store.tables().fail_at(0);
    EXPECT_EQ(first->completed, 0) << "a settle is not given up";
    EXPECT_EQ(reserve->verb.error.code, Errc::unavailable);
    EXPECT_EQ(MeterBoard(cells).hold_at(4), 0U);
    EXPECT_EQ(wallet().charged, charged);
    EXPECT_EQ(wallet().held, held_before);
    EXPECT_EQ(queue->commit_turn(now), VerbQueue::Turn::committed);
    EXPECT_EQ(first->verb.outcome.charge.charged, 20);
    EXPECT_EQ(wallet().charged, charged + 20);
  }
}

TEST_F(Queue, AnUnknownCommitIsReadAgain) {
  for (const auto fault : {MemoryStore::CommitFault::lost, MemoryStore::CommitFault::kept}) {
    const bool kept = fault == MemoryStore::CommitFault::kept;
    SCOPED_TRACE(kept);
    const HoldId a = held(100);
    const HoldId b = held(100);
    const Nanos charged = wallet().charged;
    auto close = settle(a, 30);
    auto extend = ask(ExtendVerb{b, 7, 0, {5, 2}, {5, 2}});
    ReserveVerb verb = request(10, 1, 5);
    verb.request_id = {1, 2, static_cast<std::uint8_t>(kept)};
    auto reserve = ask(verb, 5);
    store.fail_next_commit(fault);
    queue->commit_turn(now);
    EXPECT_EQ(close->completed, kept ? 1 : 0);
    EXPECT_EQ(extend->verb.error.code, kept ? Errc::none : Errc::unavailable);
    EXPECT_EQ(reserve->verb.error.code, kept ? Errc::none : Errc::unavailable);
    EXPECT_EQ(MeterBoard(cells).hold_at(5) != 0, kept);
    EXPECT_TRUE(queue->drain(kSecond));
    EXPECT_EQ(close->completed, 1);
    EXPECT_EQ(wallet().charged, charged + 30) << "charged once, whatever the commit did";
    if (kept) MeterBoard(cells).close(5);
  }
}

TEST_F(Queue, WhoWantsMoneyIsNotKeptWaitingBehindASettleThatCannotBeWritten) {
  const HoldId hold = held(100);
  auto close = settle(hold, 5);
  store.fail_begin({Errc::io});
  queue->commit_turn(now);
  auto reserve = ask(request(10, 1, 5));
  EXPECT_EQ(queue->commit_turn(now), VerbQueue::Turn::busy);
  EXPECT_EQ(reserve->verb.error.code, Errc::unavailable);
  EXPECT_EQ(close->completed, 0);
  store.fail_begin({});
  EXPECT_TRUE(queue->drain(kSecond));
  EXPECT_EQ(close->verb.outcome.charge.charged, 5);
}

TEST_F(Queue, StoppedAdmissionRefusesReservesAndStillSettles) {
  const HoldId hold = held(100);
  admission.stop.store(kStopUndrained);
  auto reserve = ask(request(10, 1, 5));
  auto extend = ask(ExtendVerb{hold, 7, 0, {5, 2}, {5, 2}});
  auto free = ask(RequestVerb{1, 10, now});
  auto close = settle(hold, 5);
  queue->commit_turn(now);
  EXPECT_EQ(reserve->verb.outcome.limit, Limit::undrained);
  EXPECT_EQ(free->verb.outcome.verdict, Verdict::done) << "it asks for no money";
  EXPECT_EQ(close->verb.outcome.verdict, Verdict::done);
  EXPECT_EQ(extend->verb.outcome.verdict, Verdict::already_closed) << "settle goes first";
  admission.stop.store(0);
  store.set_crowded(true);
  auto crowded = ask(request(10, 1, 5));
  queue->commit_turn(now);
  EXPECT_EQ(crowded->verb.outcome.limit, Limit::map_full);
}

TEST_F(Queue, ARequestWhoseCommitFailedIsNotKnownToBeTaken) {
  auto free = ask(RequestVerb{1, 10, now});
  store.fail_next_commit(MemoryStore::CommitFault::kept);
  EXPECT_TRUE(queue->drain(kSecond));
  EXPECT_EQ(free->completed, 1);
  EXPECT_EQ(free->verb.error.code, Errc::unavailable);
}

// C1: a thousand calls race for credit that pays for ten.
TEST_F(Queue, OfAThousandExactlyTenGetTheLastCredit) {
  model.add_wallet(2, 1000);
  model.add_key(20, 2);
  store.tables() = model.tables();
  std::vector<std::unique_ptr<Asked>> asked;
  for (int i = 0; i < 1000; ++i) asked.push_back(ask(request(20, 2, 100)));
  EXPECT_TRUE(queue->drain(10 * kSecond));
  int admitted = 0;
  for (const auto& one : asked) {
    EXPECT_EQ(one->completed, 1);
    admitted += one->verb.outcome.verdict == Verdict::done ? 1 : 0;
  }
  EXPECT_EQ(admitted, 10);
}

TEST(QueueOnLmdb, TwoShardsShareOneWalletToTheLastCredit) {
  ScratchDirectory scratch;
  const BuildOptions options = build_options(scratch.path(), 3);
  build_and_open(options, 1, 1000).reset();
  // Two processes, 500 requests of 100 each, credit for ten.
  const auto shard = [&](SlotId id) {
    std::string message;
    auto environment = open({scratch.path()}, message);
    auto slot = SlotLock::acquire(scratch.path(), id);
    if (!environment || !slot) return 100;
    VerbQueue queue(**environment, *slot);
    static int admitted = 0;
    std::vector<PendingVerb> verbs(500);
    for (PendingVerb& verb : verbs) {
      verb.verb = request(1, 1, 100);
      verb.done = [](PendingVerb& self) noexcept {
        admitted += self.error.code == Errc::none && self.outcome.verdict == Verdict::done ? 1 : 0;
      };
      queue.submit(verb, system_clock().monotonic_ns());
    }
    return queue.drain(20 * kSecond) ? admitted : 101;
  };
  const pid_t child = fork();
  if (child == 0) _exit(shard(1));
  const int mine = in_child([&] { return shard(0); });
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(mine + WEXITSTATUS(status), 10);
  std::string message;
  auto environment = open({scratch.path()}, message);
  const WalletRecord wallet = (*environment)->find_wallet(1).value().value();
  EXPECT_EQ(wallet.available, 0);
  EXPECT_TRUE(identity_holds(wallet));
}

TEST(QueueOnLmdb, AFullMapStopsAdmissionAndSettlesStillFit) {
  ScratchDirectory scratch;
  BuildOptions options = build_options(scratch.path(), 3);
  options.map_bytes = 2 * kMiB;
  auto environment = build_and_open(options, 4, 1'000'000'000);
  ASSERT_NE(environment, nullptr);
  auto slot = SlotLock::acquire(scratch.path(), 0);
  VerbQueue queue(*environment, *slot);
  std::vector<std::unique_ptr<PendingVerb>> verbs;
  static int refused = 0;
  refused = 0;
  const auto submit = [&](auto verb) {
    auto pending = std::make_unique<PendingVerb>();
    pending->verb = verb;
    pending->done = [](PendingVerb& self) noexcept {
      refused += self.outcome.limit == Limit::map_full ? 1 : 0;
    };
    queue.submit(*pending, system_clock().monotonic_ns());
    verbs.push_back(std::move(pending));
  };
  // Holds until nothing more is admitted.
  while (refused == 0 && verbs.size() < 20'000) {
    for (int i = 0; i < 32; ++i) submit(request(1, 1, 10));
    ASSERT_TRUE(queue.drain(10 * kSecond));
  }
  EXPECT_GT(refused, 0);
  const std::size_t asked = verbs.size();
  static const OutboxRecord record;
  std::size_t holds = 0;
  for (std::size_t i = 0; i < asked; ++i) {
    const Outcome& outcome = verbs[i]->outcome;
    if (verbs[i]->error.code != Errc::none || outcome.hold.seq == 0) continue;
    ++holds;
    submit(SettleVerb{outcome.hold, price::split(3, 3, 0), &record});
    ASSERT_TRUE(queue.drain(10 * kSecond)) << "settle " << holds << " did not fit";
  }
  EXPECT_GT(holds, 200U);
  EXPECT_EQ(environment->find_wallet(1).value()->charged, static_cast<Nanos>(3 * holds));
  EXPECT_EQ(environment->find_wallet(1).value()->held, 0);
}

}  // namespace
}  // namespace sluice::state
