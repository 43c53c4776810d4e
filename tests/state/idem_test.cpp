// Idempotency-Keys: one row a key and client key, in the transactions of the hold.
#include "idem.hpp"

#include <gtest/gtest.h>

#include "model.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::state {
namespace {

constexpr IdemHash kFirst{1, 2, 3};
constexpr IdemHash kOther{4, 5, 6};
constexpr TimeNs kNow = 1'800'000'000 * kSecond;

class Idem : public ::testing::Test {
 protected:
  Idem() {
    model.add_wallet(1, 1000);
    model.add_key(10, 1);
    model.add_key(11, 1);
  }

  ReserveVerb asking(std::uint8_t request_number, IdemHash hash = kFirst, KeyId key = 10) {
    ReserveVerb verb = request(key, 1, 100);
    verb.idem = hash;
    verb.request_id = {request_number};
    verb.opened_at_ns = kNow;
    return verb;
  }
  Outcome reserve(const ReserveVerb& verb) { return model.reserve(verb).value(); }
  std::size_t rows() { return model.tables().rows(Table::idem); }

  Model model;
};

TEST_F(Idem, ASecondRequestIsRefusedWhileTheFirstRunsAndNothingChanges) {
  ASSERT_EQ(reserve(asking(1)).verdict, Verdict::done);
  const auto before = model.tables().map(Table::accounts);
  const Outcome second = reserve(asking(2));
  EXPECT_EQ(second.verdict, Verdict::refused);
  EXPECT_EQ(second.limit, Limit::repeated);
  EXPECT_TRUE(second.first.running);
  EXPECT_EQ(second.first.request_id, RequestId{1});
  EXPECT_EQ(model.tables().map(Table::accounts), before);
}

TEST_F(Idem, AfterASettleTheSecondLearnsIdAndCost) {
  const Outcome first = reserve(asking(1));
  ASSERT_TRUE(model.settle(first.hold, 70));
  const Outcome second = reserve(asking(2));
  EXPECT_EQ(second.limit, Limit::repeated);
  EXPECT_FALSE(second.first.running);
  EXPECT_EQ(second.first.cost, 70);
  EXPECT_EQ(second.first.request_id, RequestId{1});
}

TEST_F(Idem, WhatWasNotChargedMayBeTriedAgain) {
  ASSERT_TRUE(model.void_hold(reserve(asking(1)).hold));
  EXPECT_EQ(rows(), 0U);
  EXPECT_EQ(reserve(asking(2)).verdict, Verdict::done);
}

TEST_F(Idem, ItIsSaidBeforeTheMoneyThatTheFirstTook) {
  ReserveVerb all = asking(1);
  all.amount = 1000;
  ASSERT_EQ(reserve(all).verdict, Verdict::done);
  EXPECT_EQ(reserve(asking(2)).limit, Limit::repeated);
}

TEST_F(Idem, ARefusedRequestUsesNoKey) {
  ReserveVerb dear = asking(1);
  dear.amount = 5000;
  EXPECT_EQ(reserve(dear).limit, Limit::balance);
  EXPECT_EQ(rows(), 0U);
}

TEST_F(Idem, AnotherApiKeyOrAnotherNameIsAnotherRow) {
  ASSERT_EQ(reserve(asking(1)).verdict, Verdict::done);
  EXPECT_EQ(reserve(asking(2, kOther)).verdict, Verdict::done);
  EXPECT_EQ(reserve(asking(3, kFirst, 11)).verdict, Verdict::done);
  EXPECT_EQ(rows(), 3U);
}

TEST_F(Idem, AfterADayTheNameIsNewAndTheOldHoldLeavesItsRowAlone) {
  const Outcome first = reserve(asking(1));
  ReserveVerb later = asking(2);
  later.opened_at_ns = kNow + kIdemLifetimeNs - 1;
  EXPECT_EQ(reserve(later).limit, Limit::repeated);
  later.opened_at_ns = kNow + kIdemLifetimeNs;
  ASSERT_EQ(reserve(later).verdict, Verdict::done);
  ASSERT_TRUE(model.settle(first.hold, 70));
  later.request_id = {3};
  const Outcome third = reserve(later);
  EXPECT_TRUE(third.first.running) << "the row is the second request's";
  EXPECT_EQ(third.first.request_id, RequestId{2});
}

TEST_F(Idem, AReapedRequestThatCostSomethingIsDoneAndOneThatDidNotMayBeTriedAgain) {
  static Nanos cost = 0;
  const ReapPolicy policy{
      .decide = [](void*, const HoldId&, const HoldRecord& hold, OutboxRecord&) {
        return price::split(hold.request_id == RequestId{1} ? cost : 0, hold.amount, 0);
      }};
  cost = 40;
  ASSERT_EQ(reserve(asking(1)).verdict, Verdict::done);
  ASSERT_EQ(reserve(asking(2, kOther)).verdict, Verdict::done);
  ASSERT_EQ(model.reap({.slot = Model::kSlot, .epoch = Model::kEpoch, .policy = policy})->closed,
            2U);
  const Outcome again = reserve(asking(3));
  EXPECT_EQ(again.limit, Limit::repeated);
  EXPECT_EQ(again.first.cost, 40);
  EXPECT_EQ(reserve(asking(4, kOther)).verdict, Verdict::done);
}

TEST_F(Idem, AnExpiredHoldKeepsItsKeyUntilItsTombstoneGoes) {
  ReserveVerb verb = asking(1);
  verb.deadline_ns = 10;
  const HoldId hold = reserve(verb).hold;
  ASSERT_EQ(model.expire(hold, 11)->verdict, Verdict::done);
  EXPECT_EQ(reserve(asking(2)).limit, Limit::repeated);
  ASSERT_EQ(model.reap({.slot = Model::kSlot, .epoch = Model::kEpoch, .policy = {}})->tombstones,
            1U);
  EXPECT_EQ(reserve(asking(3)).verdict, Verdict::done);
}

TEST_F(Idem, AFullTableRefusesNewNamesOnly) {
  model.tables().set_idem_rows_most(1);
  const Outcome first = reserve(asking(1));
  EXPECT_EQ(reserve(asking(2, kOther)).limit, Limit::idem_full);
  EXPECT_EQ(reserve(asking(3)).limit, Limit::repeated);
  ReserveVerb without = asking(4);
  without.idem = {};
  EXPECT_EQ(reserve(without).verdict, Verdict::done);
  ASSERT_TRUE(model.void_hold(first.hold));
  EXPECT_EQ(reserve(asking(5, kOther)).verdict, Verdict::done);
}

TEST_F(Idem, OnlyWhatIsOldIsForgotten) {
  const Outcome first = reserve(asking(1));
  ASSERT_EQ(reserve(asking(2, kOther)).verdict, Verdict::done);  // runs on
  ASSERT_TRUE(model.settle(first.hold, 70));
  const std::array<IdemKey, 2> keys{idem_key(10, kFirst), idem_key(10, kOther)};
  const auto forget = [&](TimeNs after_ns, TimeNs age_ns) {
    return model
        .transact([&] { return forget_idem(model.tables(), keys, kNow + after_ns, age_ns); })
        .value();
  };
  EXPECT_EQ(forget(100, kIdemLifetimeNs), 0U);
  EXPECT_EQ(forget(100, 99), 1U) << "what is done may go early when there are too many";
  EXPECT_EQ(forget(100, 99), 0U) << "what runs stays";
  EXPECT_EQ(forget(kIdemLifetimeNs, kIdemLifetimeNs), 1U);
}

TEST_F(Idem, ADamagedRowIsNoReasonForAHoldToStayOpen) {
  const Outcome first = reserve(asking(1));
  const IdemKey key = idem_key(10, kFirst);
  const ByteSpan bytes = model.tables().get(Table::idem, span_of(key)).value();
  std::vector<std::byte> bad(bytes.begin(), bytes.end());
  bad[bad.size() / 2] ^= std::byte{1};
  ASSERT_TRUE(model.tables().put(Table::idem, span_of(key), bad));
  EXPECT_EQ(model.settle(first.hold, 70)->verdict, Verdict::done);
  EXPECT_EQ(model.wallet(1).available, 930);
  EXPECT_EQ(rows(), 0U);
}

}  // namespace
}  // namespace sluice::state
