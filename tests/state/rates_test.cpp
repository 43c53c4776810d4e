// Rate buckets: what is shown of them, and what the end of a request corrects.
#include <gtest/gtest.h>

#include "model.hpp"

namespace sluice::state {
namespace {

constexpr TimeNs kStart = 1000 * kSecond;

class Rates : public ::testing::Test {
 protected:
  void set(const Limits& of_key, const Limits& of_wallet = {}) {
    model.add_wallet(1, 1'000'000, 0, of_wallet);
    model.add_key(10, 1, of_key);
  }
  Outcome reserve(TimeNs at_ns, Tokens tokens = 0) {
    ReserveVerb verb = request(10, 1, 1);
    verb.now_ns = at_ns;
    verb.rate_tokens = tokens;
    return model.reserve(verb).value();
  }
  void settle(const HoldId& hold, Tokens tokens, TimeNs at_ns) {
    OutboxRecord record;
    price::Charge charge = price::split(1, 1, 0);
    charge.billed.output = tokens;
    const SettleVerb verb{hold, charge, &record, at_ns};
    ASSERT_TRUE(model.transact([&] { return apply(model.tables(), verb); }));
  }
  void void_hold(const HoldId& hold, TimeNs at_ns) {
    ASSERT_TRUE(
        model.transact([&] { return apply(model.tables(), VoidVerb{hold, nullptr, at_ns}); }));
  }

  Model model;
};

TEST_F(Rates, WhatIsLeftAndWhenAllIsBackIsShown) {
  set({.requests_per_minute = 60, .tokens_per_minute = 6000});
  const Outcome first = reserve(kStart, 1000);
  EXPECT_EQ(first.rates.requests.limit, 60U);
  EXPECT_EQ(first.rates.requests.remaining, 59U);
  EXPECT_EQ(first.rates.requests.reset_ns, kSecond);
  EXPECT_EQ(first.rates.tokens.limit, 6000U);
  EXPECT_EQ(first.rates.tokens.remaining, 5000U);
  EXPECT_EQ(first.rates.tokens.reset_ns, 10 * kSecond);
  const Outcome none = reserve(kStart, 0);
  EXPECT_EQ(none.rates.requests.remaining, 58U);
}

TEST_F(Rates, ThePartyWithLessLeftIsShown) {
  set({.requests_per_minute = 100}, {.requests_per_minute = 10, .tokens_per_minute = 500});
  const Outcome outcome = reserve(kStart, 100);
  EXPECT_EQ(outcome.rates.requests.limit, 10U);
  EXPECT_EQ(outcome.rates.requests.remaining, 9U);
  EXPECT_EQ(outcome.rates.tokens.remaining, 400U);
}

TEST_F(Rates, WithoutLimitsNothingIsShown) {
  set({});
  EXPECT_EQ(reserve(kStart, 5).rates.requests.limit, 0U);
  EXPECT_EQ(reserve(kStart, 5).rates.tokens.limit, 0U);
}

TEST_F(Rates, ARefusalOfTheWalletTakesNothingOfTheKeysBuckets) {
  set({.requests_per_minute = 5}, {.requests_per_minute = 1});
  ASSERT_EQ(reserve(kStart).verdict, Verdict::done);
  const Outcome refused = reserve(kStart);
  EXPECT_EQ(refused.limit, Limit::wallet_requests);
  EXPECT_EQ(refused.rates.requests.remaining, 0U);
  EXPECT_EQ(refused.retry_after_ns, 60 * kSecond);
  const Outcome later = reserve(kStart + 60 * kSecond);
  ASSERT_EQ(later.verdict, Verdict::done);
  EXPECT_EQ(model.counters(CounterKind::key, 1, 10).requests_tat_ns, kStart + 72 * kSecond);
}

TEST_F(Rates, WhatIsFreeTakesOneRequestOfBothPartiesAndNothingElse) {
  // Nothing but requests is looked at: no money is left, a request is under way, no token is free.
  set({.budget_total = 0, .in_flight = 1, .requests_per_minute = 2, .tokens_per_minute = 1},
      {.requests_per_minute = 10});
  ReserveVerb running = request(10, 1, 0);
  running.now_ns = kStart;
  running.rate_tokens = 100;
  ASSERT_EQ(model.reserve(running)->verdict, Verdict::done);
  const auto take = [&] {
    return model.transact([&] { return apply(model.tables(), RequestVerb{1, 10, kStart}); })
        .value();
  };
  const CounterRecord before = model.counters(CounterKind::key, 1, 10);
  const WalletRecord money = model.wallet(1);
  const Outcome first = take();
  EXPECT_EQ(first.verdict, Verdict::done);
  EXPECT_EQ(first.rates.requests.limit, 2U);
  EXPECT_EQ(first.rates.requests.remaining, 0U);
  EXPECT_EQ(first.rates.tokens.limit, 1U);
  const CounterRecord after = model.counters(CounterKind::key, 1, 10);
  EXPECT_EQ(after.requests_tat_ns, before.requests_tat_ns + 30 * kSecond);
  EXPECT_EQ(after.tokens_tat_ns, before.tokens_tat_ns);
  EXPECT_EQ(after.in_flight, before.in_flight);
  EXPECT_EQ(after.total.reserved, before.total.reserved);
  EXPECT_EQ(model.wallet(1).available, money.available);
  EXPECT_EQ(model.counters(CounterKind::wallet, 1, 1).requests_tat_ns, kStart + 12 * kSecond);
  const Outcome refused = take();
  EXPECT_EQ(refused.limit, Limit::key_requests);
  EXPECT_EQ(refused.retry_after_ns, 30 * kSecond);
  EXPECT_EQ(refused.rates.requests.remaining, 0U);
  EXPECT_EQ(model.counters(CounterKind::wallet, 1, 1).requests_tat_ns, kStart + 12 * kSecond);
}

TEST_F(Rates, WhereNothingIsLimitedWhatIsFreeWritesNothing) {
  set({.tokens_per_minute = 5});
  const CounterRecord before = model.counters(CounterKind::key, 1, 10);
  model.tables().fail_at(1);
  const auto outcome =
      model.transact([&] { return apply(model.tables(), RequestVerb{1, 10, kStart}); });
  model.tables().fail_at(0);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->rates.requests.limit, 0U);
  EXPECT_EQ(outcome->rates.tokens.remaining, 5U);
  EXPECT_EQ(model.counters(CounterKind::key, 1, 10).tokens_tat_ns, before.tokens_tat_ns);
  EXPECT_EQ(model.transact([&] { return apply(model.tables(), RequestVerb{1, 99, kStart}); })
                .error()
                .code,
            Errc::not_found);
}

TEST_F(Rates, TokensThatWereNotUsedComeBack) {
  set({.tokens_per_minute = 6000});
  const HoldId hold = reserve(kStart, 6000).hold;
  EXPECT_EQ(reserve(kStart, 1000).limit, Limit::key_tokens);
  settle(hold, 2000, kStart);
  EXPECT_EQ(reserve(kStart, 4000).rates.tokens.remaining, 0U) << "2000 used and 4000 asked";
}

TEST_F(Rates, WhatHasFlowedInMeanwhileIsNotGivenTwice) {
  set({.tokens_per_minute = 6000});
  const HoldId hold = reserve(kStart, 6000).hold;
  // After a minute the bucket is full by itself.
  const TimeNs later = kStart + 60 * kSecond;
  ASSERT_EQ(reserve(later, 3000).verdict, Verdict::done);
  void_hold(hold, later);
  EXPECT_EQ(reserve(later, 0).rates.tokens.remaining, 3000U);
}

TEST_F(Rates, MoreTokensThanWereCountedAreADebt) {
  set({.tokens_per_minute = 6000});
  const HoldId hold = reserve(kStart, 1000).hold;
  settle(hold, 7000, kStart + kSecond);
  const Outcome refused = reserve(kStart + kSecond, 100);
  EXPECT_EQ(refused.limit, Limit::key_tokens);
  // 1000 and 6000 were used, 100 have flowed in: 6900 stand against 6000, and 100 are wanted.
  EXPECT_EQ(refused.retry_after_ns, 10 * kSecond);
}

TEST_F(Rates, AHoldWhoseEndHasNoTimeGivesNothingBack) {
  set({.tokens_per_minute = 6000});
  const HoldId hold = reserve(kStart, 6000).hold;
  ASSERT_TRUE(model.settle(hold, 1));
  EXPECT_EQ(reserve(kStart, 1000).limit, Limit::key_tokens);
}

}  // namespace
}  // namespace sluice::state
