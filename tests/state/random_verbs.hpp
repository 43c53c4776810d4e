// Random verbs against a reference that is written from the rules and not from the code; the
// invariants I1 to I5 after each step.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "model.hpp"

namespace sluice::state {

inline constexpr WalletId kWallets = 4;

/// What the rules say a wallet and its holds are.
struct Reference {
  struct Hold {
    WalletId wallet = 0;
    Nanos amount = 0;
    Nanos excess_max = 0;
    std::uint32_t extensions = 0;
    bool tombstone = false;
  };
  struct Wallet {
    Nanos credits = 0;
    Nanos paid = 0;
    Nanos overdraft = 0;
    std::uint64_t deltas = 0;
  };
  std::map<WalletId, Wallet> wallets;
  std::map<std::uint64_t, Hold> holds;  // open and tombstones, by sequence
  std::uint64_t last_hold = 0;
  std::uint64_t last_outbox = 0;
  std::uint64_t deleted = 0;

  [[nodiscard]] Nanos held(WalletId id) const {
    Nanos sum = 0;
    for (const auto& [seq, hold] : holds)
      sum += hold.wallet == id && !hold.tombstone ? hold.amount : 0;
    return sum;
  }
  [[nodiscard]] std::uint32_t open(WalletId id) const {
    return static_cast<std::uint32_t>(std::ranges::count_if(holds, [&](const auto& entry) {
      return entry.second.wallet == id && !entry.second.tombstone;
    }));
  }
  [[nodiscard]] Nanos available(WalletId id) const {
    return wallets.at(id).credits - wallets.at(id).paid - held(id);
  }
};

/// `Draw`: called with n, gives a number below n.
template <class Draw>
class RandomVerbs {
 public:
  RandomVerbs(Store& store, std::uint64_t epoch, Draw draw)
      : store_(store), epoch_(epoch), draw_(std::move(draw)) {}

  void set_wallet(WalletId id, Nanos credits, Nanos overdraft) {
    reference_.wallets[id] = {credits, 0, overdraft, 0};
  }

  void run(int steps) {
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      step_once();
    }
  }

  void step_once() {
    switch (below(9)) {
      case 0:
      case 1:
      case 2:
        reserve();
        break;
      case 3:
        extend();
        break;
      case 4:
      case 5:
        settle();
        break;
      case 6:
        void_one();
        break;
      case 7:
        below(2) == 0 ? expire() : delta();
        break;
      default:
        below(40) == 0 ? reap() : delete_drained();
        break;
    }
    check();
  }

 private:
  static constexpr SlotId kSlot = Model::kSlot;

  std::uint64_t below(std::uint64_t n) { return draw_(n); }

  template <class Work>
  auto transact(Work work) {
    Tables& tables = *store_.begin().value();
    auto outcome = work(tables);
    if (outcome) {
      EXPECT_TRUE(store_.commit());
    } else {
      store_.abort();
    }
    return outcome;
  }

  HoldId id_of(std::uint64_t seq) const { return {epoch_, kSlot, seq}; }
  /// A hold number: mostly one that is there, sometimes one that is closed, sometimes one never
  /// given out.
  std::uint64_t any_hold() {
    if (!reference_.holds.empty() && below(8) != 0) {
      return std::next(reference_.holds.begin(),
                       static_cast<std::ptrdiff_t>(below(reference_.holds.size())))
          ->first;
    }
    return 1 + below(reference_.last_hold + 2);
  }

  void reserve() {
    const WalletId wallet = 1 + below(kWallets);
    ReserveVerb verb = request(wallet, wallet, static_cast<Nanos>(below(4000)));
    verb.excess_max = static_cast<Nanos>(below(300));
    const Nanos room = reference_.available(wallet) + reference_.wallets[wallet].overdraft;
    const Outcome outcome =
        transact([&](Tables& tables) { return apply(tables, kSlot, epoch_, verb); }).value();
    ASSERT_EQ(outcome.verdict == Verdict::done, verb.amount <= room);
    if (outcome.verdict == Verdict::refused) {
      EXPECT_EQ(outcome.limit, Limit::balance);
      EXPECT_EQ(outcome.affordable, std::max<Nanos>(room, 0));
      return;
    }
    EXPECT_EQ(outcome.hold.seq, ++reference_.last_hold);
    reference_.holds[outcome.hold.seq] = {wallet, verb.amount, verb.excess_max, 0, false};
    // I2.
    EXPECT_GE(outcome.available, -reference_.wallets[wallet].overdraft);
  }

  void extend() {
    const std::uint64_t seq = any_hold();
    const auto it = reference_.holds.find(seq);
    const std::uint32_t expected = it == reference_.holds.end() ? 0 : it->second.extensions;
    const ExtendVerb verb{
        id_of(seq), static_cast<Nanos>(1 + below(1500)), expected, {5, 2}, {5, 2}};
    const Outcome outcome = transact([&](Tables& tables) { return apply(tables, verb); }).value();
    if (it == reference_.holds.end()) {
      EXPECT_EQ(outcome.verdict, Verdict::already_closed);
      return;
    }
    Reference::Hold& hold = it->second;
    if (hold.tombstone) {
      EXPECT_EQ(outcome.limit, Limit::expired);
      return;
    }
    const Nanos room =
        reference_.available(hold.wallet) + reference_.wallets[hold.wallet].overdraft;
    ASSERT_EQ(outcome.verdict == Verdict::done, verb.amount <= room);
    if (outcome.verdict != Verdict::done) return;
    hold.amount += verb.amount;
    ++hold.extensions;
    EXPECT_EQ(transact([&](Tables& tables) { return apply(tables, verb); }).value().extensions,
              hold.extensions)
        << "twice is harmless";
  }

  void settle() {
    const std::uint64_t seq = any_hold();
    const auto it = reference_.holds.find(seq);
    OutboxRecord record;
    const SettleVerb verb{id_of(seq), price::split(static_cast<Nanos>(below(5000)), 1, 0), &record};
    const Result<Outcome> outcome = transact([&](Tables& tables) { return apply(tables, verb); });
    if (seq > reference_.last_hold) {
      EXPECT_EQ(outcome.error().code, Errc::not_found);
      return;
    }
    if (it == reference_.holds.end()) {  // I3
      EXPECT_EQ(outcome->verdict, Verdict::already_closed);
      return;
    }
    const Reference::Hold hold = it->second;
    const Nanos charged = std::min(verb.charge.cost, hold.amount);
    const Nanos excess = std::min(verb.charge.cost - charged, hold.excess_max);
    EXPECT_EQ(outcome->charge.charged, charged);
    EXPECT_EQ(outcome->charge.excess, excess);
    EXPECT_EQ(outcome->charge.loss, verb.charge.cost - charged - excess);
    EXPECT_EQ(outcome->late, hold.tombstone);
    EXPECT_EQ(outcome->outbox_seq, ++reference_.last_outbox);
    reference_.wallets[hold.wallet].paid += charged + excess;
    reference_.holds.erase(it);
  }

  void void_one() {
    const std::uint64_t seq = any_hold();
    OutboxRecord record;
    const bool wanted = below(2) == 0;
    const VoidVerb verb{id_of(seq), wanted ? &record : nullptr};
    const Result<Outcome> outcome = transact([&](Tables& tables) { return apply(tables, verb); });
    if (seq > reference_.last_hold) {
      EXPECT_FALSE(outcome);
      return;
    }
    if (reference_.holds.erase(seq) == 0) {
      EXPECT_EQ(outcome->verdict, Verdict::already_closed);
      return;
    }
    reference_.last_outbox += wanted ? 1 : 0;
  }

  void expire() {
    const std::uint64_t seq = any_hold();
    const ExpireVerb verb{id_of(seq), 1 + request(1, 1, 0).deadline_ns};
    const Result<Outcome> outcome = transact([&](Tables& tables) { return apply(tables, verb); });
    const auto it = reference_.holds.find(seq);
    if (seq > reference_.last_hold) {
      EXPECT_FALSE(outcome);
    } else if (it == reference_.holds.end() || it->second.tombstone) {
      EXPECT_EQ(outcome->verdict, Verdict::already_closed);
    } else {
      EXPECT_EQ(outcome->verdict, Verdict::done);
      it->second.tombstone = true;
    }
  }

  void delta() {
    const WalletId id = 1 + below(kWallets);
    Reference::Wallet& wallet = reference_.wallets[id];
    const bool again = below(4) == 0 && wallet.deltas > 0;
    const DeltaVerb verb{id, again ? wallet.deltas : wallet.deltas + 1,
                         static_cast<Nanos>(below(9000)) - 2000};
    const Outcome outcome = transact([&](Tables& tables) { return apply(tables, verb); }).value();
    EXPECT_EQ(outcome.verdict == Verdict::done, !again);
    if (again) return;
    wallet.credits += verb.delta;
    ++wallet.deltas;
  }

  void reap() {
    ReapVerb verb{kSlot, epoch_, true, {}};
    verb.policy.decide = [](void*, const HoldId&, const HoldRecord& hold, OutboxRecord& record) {
      record.end = price::End::shard_died;
      return price::split(hold.amount / 3, hold.amount, 0);
    };
    for (bool more = true; more; verb.first = false) {
      more = transact([&](Tables& tables) { return apply(tables, verb); }).value().more;
    }
    for (const auto& [seq, hold] : reference_.holds) {
      if (hold.tombstone) continue;
      reference_.wallets[hold.wallet].paid += hold.amount / 3;
      ++reference_.last_outbox;
    }
    reference_.holds.clear();
  }

  void delete_drained() {
    const std::uint64_t undrained = reference_.last_outbox - reference_.deleted;
    if (undrained == 0) return;
    const DeleteDrainedVerb verb{kSlot, reference_.deleted + 1 + below(undrained)};
    DeleteOutcome outcome;
    do {
      outcome = transact([&](Tables& tables) { return apply(tables, verb); }).value();
      reference_.deleted += outcome.deleted;
    } while (outcome.more);
    EXPECT_EQ(reference_.deleted, verb.up_to_seq);
  }

  void check() {
    Tables& tables = *store_.begin().value();
    for (WalletId id = 1; id <= kWallets; ++id) check_wallet(tables, id);
    check_holds(tables);
    check_outbox(tables);
    store_.abort();
  }

  void check_wallet(Tables& tables, WalletId id) {
    const WalletRecord wallet =
        load<WalletRecord>(tables, Table::accounts, span_of(wallet_key(id)))->record;
    const Reference::Wallet& expected = reference_.wallets[id];
    // I1.
    EXPECT_EQ(wallet.available + wallet.held + wallet.charged + wallet.excess, wallet.credits());
    EXPECT_EQ(wallet.credits(), expected.credits);
    EXPECT_EQ(wallet.held, reference_.held(id));
    EXPECT_EQ(wallet.charged + wallet.excess, expected.paid);
    for (const CounterKind kind : {CounterKind::key, CounterKind::wallet}) {
      const CounterRecord counters =
          load<CounterRecord>(tables, Table::accounts, span_of(counter_key(kind, id, id)))->record;
      EXPECT_EQ(counters.in_flight, reference_.open(id));
      EXPECT_EQ(counters.total.reserved, wallet.held);
      EXPECT_EQ(counters.total.spent, expected.paid);
      EXPECT_EQ(counters.day.reserved, wallet.held) << "all in one window here";
    }
  }

  void check_holds(Tables& tables) {
    std::size_t rows = 0;
    Nanos open = 0;
    Nanos expected = 0;
    for (HoldId from = id_of(0);;) {
      const Row row = tables.seek(Table::holds, span_of(hold_key(from))).value();
      if (row.key.empty()) break;
      const HoldId id = parse_hold_key(row.key).value();
      const HoldRecord hold = decode<HoldRecord>(row.value).value();
      ASSERT_TRUE(reference_.holds.contains(id.seq));
      open += hold.state == HoldState::open ? hold.amount : 0;
      ++rows;
      from = id_of(id.seq + 1);
    }
    for (WalletId id = 1; id <= kWallets; ++id) expected += reference_.held(id);
    EXPECT_EQ(rows, reference_.holds.size());
    EXPECT_EQ(open, expected);
  }

  void check_outbox(Tables& tables) {
    std::uint64_t next = reference_.deleted + 1;
    for (;; ++next) {
      const Row row = tables.seek(Table::outbox, span_of(outbox_key(kSlot, next))).value();
      if (row.key.empty()) break;
      ASSERT_EQ(parse_outbox_key(row.key).value().seq, next) << "I5: no gap";
      const OutboxRecord record = decode<OutboxRecord>(row.value).value();
      EXPECT_LE(record.charged, record.held) << "I4";
      EXPECT_TRUE(record.excess == 0 || record.charged == record.held);
    }
    EXPECT_EQ(next, reference_.last_outbox + 1);
  }

  Store& store_;
  std::uint64_t epoch_;
  Draw draw_;
  Reference reference_;
};

}  // namespace sluice::state
