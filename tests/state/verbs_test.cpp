// Single verbs: each row of state-machine.md, its refusals and its repetition.
#include "sluice/state/verbs.hpp"

#include <gtest/gtest.h>

#include "model.hpp"

namespace sluice::state {
namespace {

class Verbs : public ::testing::Test {
 protected:
  Verbs() {
    model.add_wallet(1, 1000);
    model.add_key(10, 1);
  }

  Outcome reserve(Nanos amount) { return model.reserve(request(10, 1, amount)).value(); }
  WalletRecord wallet() { return model.wallet(1); }
  CounterRecord key() { return model.counters(CounterKind::key, 1, 10); }
  CounterRecord of_wallet() { return model.counters(CounterKind::wallet, 1, 1); }

  Model model;
};

TEST_F(Verbs, ReserveMovesMoneyAndCounts) {
  const Outcome outcome = reserve(400);
  EXPECT_EQ(outcome.verdict, Verdict::done);
  EXPECT_EQ(outcome.hold, HoldId(Model::kEpoch, Model::kSlot, 1));
  EXPECT_EQ(outcome.available, 600);
  EXPECT_EQ(wallet().held, 400);
  EXPECT_EQ(key().total.reserved, 400);
  EXPECT_EQ(of_wallet().day.reserved, 400);
  EXPECT_EQ(key().in_flight, 1U);
  EXPECT_EQ(reserve(1).hold.seq, 2U);
}

TEST_F(Verbs, ReserveRefusesExactlyAtTheBalanceAndSaysWhatWouldPass) {
  EXPECT_EQ(reserve(1000).verdict, Verdict::done);
  Outcome outcome = reserve(1);
  EXPECT_EQ(outcome.verdict, Verdict::refused);
  EXPECT_EQ(outcome.limit, Limit::balance);
  EXPECT_EQ(outcome.affordable, 0);
  model.add_wallet(2, 500, 100);
  model.add_key(20, 2);
  outcome = model.reserve(request(20, 2, 601)).value();
  EXPECT_EQ(outcome.limit, Limit::balance);
  EXPECT_EQ(outcome.affordable, 600) << "balance and overdraft";
  EXPECT_EQ(model.reserve(request(20, 2, 600)).value().verdict, Verdict::done);
  EXPECT_EQ(model.wallet(2).available, -100);
}

TEST_F(Verbs, ARefusalChangesNothing) {
  const auto before = model.tables().map(Table::accounts);
  ReserveVerb verb = request(10, 1, 5000);
  verb.key_windows = {99, 99};
  EXPECT_EQ(model.reserve(verb).value().verdict, Verdict::refused);
  EXPECT_EQ(model.tables().map(Table::accounts), before);
  EXPECT_EQ(model.slot().hold_seq, 0U);
}

TEST_F(Verbs, BudgetsOfEveryWindowAndOfBothPartiesRefuse) {
  struct Case {
    Nanos Limits::* budget;
    bool of_key;
    Limit limit;
  };
  const Case cases[] = {
      {&Limits::budget_total, true, Limit::key_total},
      {&Limits::budget_day, true, Limit::key_day},
      {&Limits::budget_month, true, Limit::key_month},
      {&Limits::budget_total, false, Limit::wallet_total},
      {&Limits::budget_day, false, Limit::wallet_day},
      {&Limits::budget_month, false, Limit::wallet_month},
  };
  WalletId id = 100;
  for (const Case& c : cases) {
    Limits limits;
    limits.*c.budget = 300;
    model.add_wallet(++id, 1000, 0, c.of_key ? Limits{} : limits);
    model.add_key(id, id, c.of_key ? limits : Limits{});
    EXPECT_EQ(model.reserve(request(id, id, 200)).value().verdict, Verdict::done);
    const Outcome outcome = model.reserve(request(id, id, 101)).value();
    EXPECT_EQ(outcome.verdict, Verdict::refused);
    EXPECT_EQ(outcome.limit, c.limit) << to_string(outcome.limit);
    EXPECT_EQ(outcome.affordable, 100);
    EXPECT_EQ(model.reserve(request(id, id, 100)).value().verdict, Verdict::done);
  }
}

TEST_F(Verbs, WindowsRollForwardOnly) {
  Limits limits;
  limits.budget_day = 300;
  model.add_key(11, 1, limits);
  ReserveVerb verb = request(11, 1, 300);
  const Outcome first = model.reserve(verb).value();
  ASSERT_EQ(first.verdict, Verdict::done);
  EXPECT_EQ(model.reserve(verb).value().limit, Limit::key_day);
  verb.key_windows = {6, 2};
  const Outcome next_day = model.reserve(verb).value();
  EXPECT_EQ(next_day.verdict, Verdict::done) << "a new day";
  verb.key_windows = {5, 2};
  EXPECT_EQ(model.reserve(verb).value().limit, Limit::key_day)
      << "a clock that went back changes nothing";
  // The first hold belongs to a day that is over: its end is counted in total and month only.
  ASSERT_EQ(model.settle(first.hold, 120).value().verdict, Verdict::done);
  CounterRecord counters = model.counters(CounterKind::key, 1, 11);
  EXPECT_EQ(counters.day.spent, 0);
  EXPECT_EQ(counters.day.reserved, 300);
  EXPECT_EQ(counters.month.spent, 120);
  EXPECT_EQ(counters.total.spent, 120);
  ASSERT_EQ(model.settle(next_day.hold, 50).value().verdict, Verdict::done);
  counters = model.counters(CounterKind::key, 1, 11);
  EXPECT_EQ(counters.day.spent, 50);
  EXPECT_EQ(counters.day.reserved, 0);
}

TEST_F(Verbs, InFlightLimitIsExact) {
  Limits limits;
  limits.in_flight = 2;
  model.add_key(11, 1, limits);
  const HoldId first = model.reserve(request(11, 1, 1)).value().hold;
  EXPECT_EQ(model.reserve(request(11, 1, 1)).value().verdict, Verdict::done);
  EXPECT_EQ(model.reserve(request(11, 1, 1)).value().limit, Limit::key_in_flight);
  ASSERT_TRUE(model.settle(first, 0));
  EXPECT_EQ(model.reserve(request(11, 1, 1)).value().verdict, Verdict::done);
}

TEST_F(Verbs, RequestRateAdmitsABurstAndThenOneAtATime) {
  Limits limits;
  limits.requests_per_minute = 60;
  limits.request_burst = 3;
  model.add_key(11, 1, limits);
  ReserveVerb verb = request(11, 1, 1);
  verb.now_ns = 1000 * kSecond;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(model.reserve(verb).value().verdict, Verdict::done) << i;
  Outcome refused = model.reserve(verb).value();
  EXPECT_EQ(refused.limit, Limit::key_requests);
  EXPECT_EQ(refused.retry_after_ns, kSecond);
  verb.now_ns += kSecond - 1;
  EXPECT_EQ(model.reserve(verb).value().retry_after_ns, 1);
  verb.now_ns += 1;
  EXPECT_EQ(model.reserve(verb).value().verdict, Verdict::done);
  EXPECT_EQ(model.reserve(verb).value().limit, Limit::key_requests);
}

TEST_F(Verbs, TokenRateGoesIntoDebtForOneLargeRequestAndThenWaits) {
  Limits limits;
  limits.tokens_per_minute = 1000;
  model.add_key(11, 1, limits);
  ReserveVerb verb = request(11, 1, 1);
  verb.now_ns = 1000 * kSecond;
  verb.rate_tokens = 3000;
  EXPECT_EQ(model.reserve(verb).value().verdict, Verdict::done)
      << "a full bucket admits one of any size";
  verb.rate_tokens = 500;
  const Outcome refused = model.reserve(verb).value();
  EXPECT_EQ(refused.limit, Limit::key_tokens);
  EXPECT_EQ(refused.retry_after_ns, 150 * kSecond);
  verb.now_ns += 150 * kSecond;
  EXPECT_EQ(model.reserve(verb).value().verdict, Verdict::done);
}

TEST_F(Verbs, RevokedKeysAndSuspendedWalletsAreRefusedAndSettleAllTheSame) {
  const Outcome held = reserve(100);
  model.add_key(10, 1, {}, KeyState::disabled);
  EXPECT_EQ(reserve(1).limit, Limit::key_state);
  EXPECT_EQ(model.extend(held.hold, 10, 0).value().limit, Limit::key_state);
  EXPECT_EQ(model.settle(held.hold, 40).value().verdict, Verdict::done);
  model.add_key(10, 1);
  model.add_wallet(1, 0, 0, {}, WalletState::suspended);
  EXPECT_EQ(reserve(1).limit, Limit::wallet_state);
}

TEST_F(Verbs, UnknownWalletsAndKeysAreErrors) {
  EXPECT_EQ(model.reserve(request(10, 99, 1)).error().code, Errc::not_found);
  EXPECT_EQ(model.reserve(request(99, 1, 1)).error().code, Errc::not_found);
  EXPECT_EQ(model.reserve(request(10, 1, -1)).error().code, Errc::bad_value);
}

TEST_F(Verbs, ExtendAddsOnceByItsNumber) {
  const Outcome held = reserve(100);
  EXPECT_EQ(model.extend(held.hold, 50, 0).value().extensions, 1U);
  EXPECT_EQ(model.extend(held.hold, 50, 0).value().extensions, 1U) << "the same verb again";
  const Outcome other = model.extend(held.hold, 70, 0).value();
  EXPECT_EQ(other.extensions, 1U) << "its owner was not told of the first";
  EXPECT_EQ(other.held, 150) << "and learns now what the hold has";
  EXPECT_EQ(wallet().held, 150);
  EXPECT_EQ(model.extend(held.hold, 50, 2).error().code, Errc::conflict);
  EXPECT_EQ(model.extend(held.hold, 851, 1).value().limit, Limit::balance);
  EXPECT_EQ(model.extend(held.hold, 850, 1).value().verdict, Verdict::done);
  EXPECT_EQ(key().day.reserved, 1000);
  ASSERT_TRUE(model.settle(held.hold, 1000));
  EXPECT_EQ(key().day.reserved, 0);
  EXPECT_EQ(key().day.spent, 1000);
  EXPECT_EQ(model.extend(held.hold, 1, 2).value().verdict, Verdict::already_closed);
  EXPECT_EQ(model.extend(held.hold, 0, 2).error().code, Errc::bad_value);
}

TEST_F(Verbs, AnExtensionAfterMidnightIsCheckedByTheNewDayButCountedWhereItsHoldWas) {
  Limits limits;
  limits.budget_day = 300;
  model.add_key(11, 1, limits);
  const Outcome held = model.reserve(request(11, 1, 200)).value();
  ExtendVerb verb{held.hold, 301, 0, {6, 2}, {6, 2}};
  EXPECT_EQ(model.extend(verb).value().limit, Limit::key_day);
  verb.amount = 300;
  EXPECT_EQ(model.extend(verb).value().verdict, Verdict::done);
  EXPECT_EQ(model.counters(CounterKind::key, 1, 11).day.reserved, 0);
  EXPECT_EQ(model.counters(CounterKind::key, 1, 11).total.reserved, 500);
  ASSERT_TRUE(model.settle(held.hold, 450));
  EXPECT_EQ(model.counters(CounterKind::key, 1, 11).day.spent, 0);
  EXPECT_EQ(model.counters(CounterKind::key, 1, 11).total.spent, 450);
}

TEST_F(Verbs, SettleChargesReleasesAndWritesTheRecordOnce) {
  const Outcome held = reserve(400);
  const Outcome settled = model.settle(held.hold, 150).value();
  EXPECT_EQ(settled.verdict, Verdict::done);
  EXPECT_EQ(settled.available, 850);
  EXPECT_EQ(settled.outbox_seq, 1U);
  EXPECT_EQ(wallet().charged, 150);
  EXPECT_EQ(wallet().held, 0);
  EXPECT_EQ(key().in_flight, 0U);
  const OutboxRecord row = model.outbox(1).value();
  EXPECT_EQ(row.charged, 150);
  EXPECT_EQ(row.held, 400);
  EXPECT_EQ(row.hold, held.hold);
  EXPECT_EQ(row.key_id, 10U);
  EXPECT_EQ(row.kind, OutboxKind::usage);
  EXPECT_EQ(model.settle(held.hold, 150).value().verdict, Verdict::already_closed);
  EXPECT_EQ(model.void_hold(held.hold).value().verdict, Verdict::already_closed);
  EXPECT_EQ(model.slot().outbox_seq, 1U);
  EXPECT_EQ(model.settle(HoldId(Model::kEpoch, Model::kSlot, 9), 1).error().code, Errc::not_found)
      << "a number that was never given out";
}

TEST_F(Verbs, CostAboveTheHoldIsExcessUpToItsLimitAndThenLoss) {
  ReserveVerb verb = request(10, 1, 100);
  verb.excess_max = 30;
  const Outcome held = model.reserve(verb).value();
  const Outcome settled = model.settle(held.hold, 175).value();
  EXPECT_EQ(settled.charge.charged, 100);
  EXPECT_EQ(settled.charge.excess, 30);
  EXPECT_EQ(settled.charge.loss, 45);
  EXPECT_EQ(wallet().available, 870);
  EXPECT_EQ(wallet().excess, 30);
  EXPECT_EQ(key().total.spent, 130) << "what the customer paid";
  const OutboxRecord row = model.outbox(1).value();
  EXPECT_EQ(row.loss, 45);
  EXPECT_NE(row.flags & price::kChargeExcess, 0U);
  EXPECT_NE(row.flags & price::kChargeLoss, 0U);
}

TEST_F(Verbs, VoidGivesEverythingBackAndWritesARecordOnlyIfWanted) {
  const Outcome first = reserve(400);
  EXPECT_EQ(model.void_hold(first.hold).value().available, 1000);
  EXPECT_EQ(model.tables().rows(Table::outbox), 0U);
  const Outcome second = reserve(400);
  EXPECT_EQ(model.void_hold(second.hold, true).value().outbox_seq, 1U);
  EXPECT_EQ(model.outbox(1)->kind, OutboxKind::voided);
  EXPECT_EQ(model.outbox(1)->charged, 0);
}

TEST_F(Verbs, ExpiryLeavesATombstoneThatALateSettleStillPays) {
  ReserveVerb verb = request(10, 1, 400);
  verb.deadline_ns = 100;
  verb.excess_max = 50;
  const Outcome held = model.reserve(verb).value();
  EXPECT_EQ(model.expire(held.hold, 100).value().verdict, Verdict::refused) << "not over yet";
  EXPECT_EQ(model.expire(held.hold, 101).value().verdict, Verdict::done);
  EXPECT_EQ(model.expire(held.hold, 102).value().verdict, Verdict::already_closed);
  EXPECT_EQ(wallet().available, 1000);
  EXPECT_EQ(wallet().held, 0);
  EXPECT_EQ(key().in_flight, 0U);
  EXPECT_EQ(model.extend(held.hold, 5, 0).value().limit, Limit::expired);
  const Outcome late = model.settle(held.hold, 430).value();
  EXPECT_TRUE(late.late);
  EXPECT_EQ(wallet().available, 570);
  EXPECT_EQ(wallet().charged, 400);
  EXPECT_EQ(wallet().excess, 30);
  EXPECT_EQ(key().total.spent, 430);
  EXPECT_EQ(key().in_flight, 0U);
  EXPECT_EQ(model.outbox(1)->kind, OutboxKind::late);
  EXPECT_NE(model.outbox(1)->flags & price::kChargeLate, 0U);
  EXPECT_EQ(model.settle(held.hold, 430).value().verdict, Verdict::already_closed);
}

TEST_F(Verbs, AVoidAfterExpiryDropsTheTombstone) {
  const Outcome held = reserve(400);
  ASSERT_TRUE(model.expire(held.hold, 1 + request(10, 1, 1).deadline_ns));
  EXPECT_TRUE(model.void_hold(held.hold).value().late);
  EXPECT_EQ(model.tables().rows(Table::holds), 0U);
  EXPECT_EQ(wallet().available, 1000);
}

TEST_F(Verbs, ReapClosesAFewAtATimeAndCountsTheIncarnationOnce) {
  model.add_wallet(2, 1'000'000);
  model.add_key(20, 2);
  for (int i = 0; i < 70; ++i)
    ASSERT_EQ(model.reserve(request(20, 2, 100)).value().verdict, Verdict::done);
  ASSERT_TRUE(
      model.expire(HoldId(Model::kEpoch, Model::kSlot, 5), 1 + request(20, 2, 1).deadline_ns));
  int transactions = 0;
  std::uint32_t closed = 0;
  std::uint32_t tombstones = 0;
  ReapVerb verb{Model::kSlot, Model::kEpoch, true, {}};
  verb.policy.decide = [](void*, const HoldId& id, const HoldRecord& hold, OutboxRecord& record) {
    record.end = price::End::shard_died;
    if (id.seq % 2 == 0) return price::split(70, hold.amount, 0);
    price::Charge nothing;
    nothing.flags = price::kChargeVoid;
    return nothing;
  };
  for (bool more = true; more; verb.first = false) {
    const ReapOutcome outcome = model.reap(verb).value();
    EXPECT_LE(outcome.closed + outcome.tombstones, kMaxHoldsPerReap);
    closed += outcome.closed;
    tombstones += outcome.tombstones;
    more = outcome.more;
    ++transactions;
  }
  EXPECT_EQ(transactions, 3);
  EXPECT_EQ(closed, 69U);
  EXPECT_EQ(tombstones, 1U);
  EXPECT_EQ(model.slot().incarnation, 1U);
  EXPECT_EQ(model.wallet(2).held, 0);
  EXPECT_EQ(model.wallet(2).charged, 35 * 70);
  EXPECT_EQ(model.counters(CounterKind::key, 2, 20).in_flight, 0U);
  EXPECT_EQ(model.tables().rows(Table::outbox), 69U);
  EXPECT_EQ(model.outbox(1)->incarnation, 1U);
}

TEST_F(Verbs, ReapLeavesOtherSlotsAlone) {
  ASSERT_EQ(reserve(100).verdict, Verdict::done);
  ASSERT_EQ(model.reserve(request(10, 1, 100), 9).value().verdict, Verdict::done);
  ReapVerb verb{9, Model::kEpoch, true, {}};
  verb.policy.decide = [](void*, const HoldId&, const HoldRecord&, OutboxRecord&) {
    price::Charge nothing;
    nothing.flags = price::kChargeVoid;
    return nothing;
  };
  EXPECT_EQ(model.reap(verb).value().closed, 1U);
  EXPECT_EQ(wallet().held, 100);
}

TEST_F(Verbs, DeltasApplyInOrderOnceAndMayGoNegative) {
  EXPECT_EQ(model.delta({1, 1, 500}).value().available, 1500);
  EXPECT_EQ(model.delta({1, 1, 500}).value().verdict, Verdict::already_closed);
  EXPECT_EQ(model.delta({1, 3, 500}).error().code, Errc::conflict);
  EXPECT_EQ(model.delta({1, 2, -9000}).value().available, -7500);
  EXPECT_EQ(wallet().credits(), -7500);
  EXPECT_EQ(model.delta({99, 1, 5}).error().code, Errc::not_found);
  EXPECT_EQ(model.delta({1, 3, std::numeric_limits<Nanos>::min()}).error().code, Errc::bad_value);
  EXPECT_EQ(reserve(1).limit, Limit::balance);
}

TEST_F(Verbs, PublishingChangesPolicyAndNeverMoneyOrCounts) {
  const Outcome held = reserve(400);
  Limits limits;
  limits.budget_total = 700;
  model.add_key(10, 1, limits);
  model.add_wallet(1, 0, 55, limits);
  EXPECT_EQ(wallet().held, 400);
  EXPECT_EQ(wallet().available, 600);
  EXPECT_EQ(wallet().overdraft_limit, 55);
  EXPECT_EQ(key().in_flight, 1U);
  EXPECT_EQ(reserve(301).limit, Limit::key_total);
  ASSERT_TRUE(model.settle(held.hold, 10));
  KeyPublish impossible;
  EXPECT_EQ(model.publish(impossible).error().code, Errc::bad_value);
}

TEST_F(Verbs, RemovingADigestLeavesTheKeysCounters) {
  KeyPublish key = key_publish(10, 1);
  key.remove = true;
  ASSERT_TRUE(model.publish(key));
  EXPECT_EQ(model.tables().rows(Table::keys), 0U);
  EXPECT_EQ(reserve(1).verdict, Verdict::done) << "another digest may name it";
  key.record.state = KeyState::revoked;
  ASSERT_TRUE(model.publish(key));
  EXPECT_EQ(reserve(1).limit, Limit::key_state);
}

TEST_F(Verbs, DrainedRowsGoUpToTheCursor) {
  model.add_wallet(2, 1'000'000);
  model.add_key(20, 2);
  for (int i = 0; i < 100; ++i) {
    const HoldId hold = model.reserve(request(20, 2, 1)).value().hold;
    ASSERT_TRUE(model.settle(hold, 1));
  }
  ASSERT_TRUE(model.settle(model.reserve(request(20, 2, 1), 9).value().hold, 1));
  DeleteOutcome outcome = model.delete_drained({Model::kSlot, 90}).value();
  EXPECT_EQ(outcome.deleted, 64U);
  EXPECT_TRUE(outcome.more);
  outcome = model.delete_drained({.slot = Model::kSlot, .up_to_seq = 90, .most = 16}).value();
  EXPECT_EQ(outcome.deleted, 16U);
  EXPECT_TRUE(outcome.more);
  outcome = model.delete_drained({Model::kSlot, 90}).value();
  EXPECT_EQ(outcome.deleted, 10U);
  EXPECT_FALSE(outcome.more);
  EXPECT_EQ(model.tables().rows(Table::outbox), 11U);
  EXPECT_FALSE(model.outbox(90));
  EXPECT_TRUE(model.outbox(91));
}

TEST_F(Verbs, ACorruptRowIsAnErrorAndNothingIsWritten) {
  const Outcome held = reserve(100);
  model.corrupt_account(wallet_key(1));
  const std::uint64_t writes = model.tables().writes();
  EXPECT_EQ(model.settle(held.hold, 1).error().code, Errc::corrupt);
  EXPECT_EQ(model.reserve(request(10, 1, 1)).error().code, Errc::corrupt);
  EXPECT_EQ(model.tables().writes(), writes);
}

// The verbs beside it are committed all the same: it must have written nothing before it fails.
TEST_F(Verbs, AnEndThatMeetsACorruptCounterWritesNothing) {
  const Outcome held = reserve(100);
  for (const AccountKey& row :
       {counter_key(CounterKind::key, 1, 10), counter_key(CounterKind::wallet, 1, 1)}) {
    model.corrupt_account(row);
    const std::uint64_t writes = model.tables().writes();
    EXPECT_EQ(model.settle(held.hold, 1).error().code, Errc::corrupt);
    EXPECT_EQ(model.void_hold(held.hold).error().code, Errc::corrupt);
    EXPECT_EQ(model.expire(held.hold, 4'000 * kSecond).error().code, Errc::corrupt);
    EXPECT_EQ(model.tables().writes(), writes);
    model.corrupt_account(row);  // whole again
  }
  EXPECT_TRUE(model.settle(held.hold, 1));
}

}  // namespace
}  // namespace sluice::state
