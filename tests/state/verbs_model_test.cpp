// Random verbs against their reference (random_verbs.hpp), over tables in memory and over LMDB. And
// a failure at every write of every verb.
#include <gtest/gtest.h>

#include <vector>

#include "model.hpp"
#include "random_verbs.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::state {
namespace {

constexpr SlotId kSlot = Model::kSlot;

auto seeded(std::uint64_t seed) {
  return [rng = SeededRng(seed)](std::uint64_t n) mutable { return rng.next_u64() % n; };
}

TEST(RandomVerbs, InvariantsHoldInMemory) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Model model;
    MemoryStore store;
    RandomVerbs verbs(store, Model::kEpoch, seeded(seed));
    for (WalletId id = 1; id <= kWallets; ++id) {
      const Nanos overdraft = id == 2 ? 700 : 0;
      model.add_wallet(id, 20'000, overdraft);
      model.add_key(id, id);
      verbs.set_wallet(id, 20'000, overdraft);
    }
    store.tables() = model.tables();
    verbs.run(400);
    if (HasFailure()) return;
  }
}

TEST(RandomVerbs, InvariantsHoldInLmdb) {
  ScratchDirectory scratch;
  auto environment = build_and_open(build_options(scratch.path(), 3), kWallets, 20'000);
  ASSERT_NE(environment, nullptr);
  RandomVerbs verbs(environment->store(), 3, seeded(77));
  for (WalletId id = 1; id <= kWallets; ++id) verbs.set_wallet(id, 20'000, 0);
  verbs.run(4000);
}

// Every verb, with its n-th write failing: after the abort nothing has changed.
TEST(VerbFaults, AFailureAtAnyWriteLeavesNothing) {
  using Verb = Result<Outcome> (*)(Tables&);
  static const OutboxRecord record;
  const HoldId open(Model::kEpoch, kSlot, 1);
  const HoldId tomb(Model::kEpoch, kSlot, 2);
  static HoldId first;
  static HoldId second;
  first = open;
  second = tomb;
  const std::pair<const char*, Verb> verbs[] = {
      {"reserve", [](Tables& t) { return apply(t, kSlot, Model::kEpoch, request(10, 1, 5)); }},
      {"extend", [](Tables& t) { return apply(t, ExtendVerb{first, 5, 0, {5, 2}, {5, 2}}); }},
      {"settle",
       [](Tables& t) { return apply(t, SettleVerb{first, price::split(7, 7, 0), &record}); }},
      {"void", [](Tables& t) { return apply(t, VoidVerb{first, &record}); }},
      {"late settle",
       [](Tables& t) { return apply(t, SettleVerb{second, price::split(7, 7, 0), &record}); }},
      {"expire",
       [](Tables& t) { return apply(t, ExpireVerb{first, 1 + request(1, 1, 0).deadline_ns}); }},
      {"delta", [](Tables& t) { return apply(t, DeltaVerb{1, 1, 5}); }},
  };
  for (const auto& [name, verb] : verbs) {
    bool passed = false;
    for (std::uint64_t n = 1; !passed; ++n) {
      ASSERT_LT(n, 20U) << name;
      Model model;
      model.add_wallet(1, 1000);
      model.add_key(10, 1);
      ASSERT_EQ(model.reserve(request(10, 1, 100))->hold, open);
      ASSERT_EQ(model.reserve(request(10, 1, 100))->hold, tomb);
      ASSERT_TRUE(model.expire(tomb, 1 + request(1, 1, 0).deadline_ns));
      std::vector<MemoryTables::Map> before;
      for (std::size_t t = 0; t < kTables; ++t)
        before.push_back(model.tables().map(static_cast<Table>(t)));
      model.tables().fail_at(n);
      const Result<Outcome> outcome = model.transact([&] { return verb(model.tables()); });
      if (outcome) {
        EXPECT_GT(n, 1U) << name << " writes something";
        EXPECT_EQ(outcome->verdict, Verdict::done) << name;
        passed = true;
        continue;
      }
      EXPECT_EQ(outcome.error().code, Errc::full);
      for (std::size_t t = 0; t < kTables; ++t) {
        EXPECT_EQ(model.tables().map(static_cast<Table>(t)), before[t]) << name << " " << n;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::state
