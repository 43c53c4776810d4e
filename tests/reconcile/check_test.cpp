// The auditor against planted damage: each case spoils one thing in a node that production code
// has run, and `sluice check` must end with 1 and one line that names it.
#include <sys/wait.h>

#include <fstream>
#include <functional>
#include <regex>
#include <sstream>

#include "damage.hpp"
#include "node.hpp"
#include "sluice/price/charge.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {
namespace {

using state::Table;

constexpr Nanos kRate = 3'000'000;  // 3 nanos a token of any class

/// A node in the middle of its work, stopped without warning: rows in the ledger, rows that wait,
/// open holds, a tombstone, credits of before and after its start, one that is not yet published.
class Sample : public Node {
 public:
  Sample() {
    options_.map_bytes = 4 * kMiB;
    build();
  }
  void TestBody() override {}
  [[nodiscard]] const std::string& state() const { return state_.path(); }
  [[nodiscard]] const std::string& disk() const { return disk_.path(); }

 private:
  void build() {
    ledger::Model model;
    model.name = "m";
    ASSERT_TRUE(books_->catalog().put(model)) << books_->last_error();
    ledger::Price price;
    price.model_id = model.id;
    price.row.base = {kRate, kRate, kRate, kRate, kRate, {}};
    ASSERT_TRUE(books_->catalog().add(price)) << books_->last_error();
    row_ = price.row;
    first_ = add_account("acme", 5 * kNanosPerUsd);
    second_ = add_account("beta", 3 * kNanosPerUsd);
    start();
    credit(first_, kNanosPerUsd);
    ASSERT_TRUE(books_->money().debit(first_.wallet.id, kNanosPerUsd / 4,
                                      ledger::House::funding_credit, "taken back"));
    settle_down();
    PlayedShard a = shard(0), b = shard(1);
    for (int i = 0; i < 3; ++i) {
      request(a, first_, 300);
      request(b, second_, 300 + i);
    }
    request(a, first_, 50);  // dearer than its hold
    ASSERT_TRUE(reconciler_->drain_all(kSecond));
    for (int i = 0; i < 3; ++i) {
      request(a, first_, 300);
      request(b, second_, 300 + i);
    }
    ASSERT_EQ(a.reserve(first_.wallet.id, first_.key.id, 700, row_.version, {9}).hold.seq, 8U);
    ASSERT_EQ(b.reserve(second_.wallet.id, second_.key.id, 900, row_.version).hold.seq, 7U);
    const state::Outcome old = b.reserve(second_.wallet.id, second_.key.id, 950, row_.version);
    state::Writer writer(environment());
    ASSERT_TRUE(writer.expire(old.hold, 2000 * kSecond));
    reconciler_.reset();
    credit(second_, 2 * kNanosPerUsd);
    books_.reset();
  }
  void credit(const Account& account, Nanos amount) {
    ASSERT_TRUE(
        books_->money().credit(account.wallet.id, amount, ledger::House::funding_credit, "more"));
  }
  /// 30 tokens in, 40 out: 210 nanos.
  void request(PlayedShard& shard, const Account& account, Nanos hold) {
    const state::Outcome reserved =
        shard.reserve(account.wallet.id, account.key.id, hold, row_.version);
    ASSERT_EQ(reserved.verdict, state::Verdict::done);
    price::Metered metered;
    metered.usage_state = price::UsageState::final;
    metered.usage.input = 30;
    metered.usage.output = 40;
    shard.settle(
        reserved.hold,
        price::charge(price::End::finished, price::Phase::final, metered, &row_, {}, hold, 1000),
        account.wallet.id, account.key.id);
  }
  price::PriceRow row_;
  Account first_, second_;
};

/// A copy of the sample, to be spoilt.
class Copy {
 public:
  explicit Copy(const Sample& sample) : root_("/dev/shm") {
    constexpr auto kHow =
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks;
    std::filesystem::copy(sample.state(), state(), kHow);
    std::filesystem::copy(sample.disk(), root_.path(), kHow);
    std::ofstream(root_.path() + "/sluice.toml")
        << "[state]\ndirectory = \"state\"\nmap = \"4MiB\"\n[ledger]\ndatabase = \"ledger.db\"\n";
  }
  [[nodiscard]] std::string state() const { return root_.path() + "/state"; }
  [[nodiscard]] std::string ledger() const { return root_.path() + "/ledger.db"; }

  /// Exit status; `line` gets what was said on stderr, `report` the table.
  int check(std::string& line, std::string& report) {
    const std::string err = root_.path() + "/err", out = root_.path() + "/out";
    const int status = std::system(
        (SLUICE_PROGRAM " --config " + root_.path() + "/sluice.toml check >" + out + " 2>" + err)
            .c_str());
    line = text_of(err);
    report = text_of(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }

 private:
  static std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  TemporaryDirectory root_;
};

struct Damage {
  const char* name;
  const char* line;  ///< regular expression of what must be said
  std::function<void(Copy&)> spoil;
};

void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

template <class Record, class Key>
auto in_state(Table table, Key key, std::function<void(Record&)> change) {
  return [=](Copy& copy) {
    RawState raw(copy.state());
    Record record = raw.get<Record>(table, bytes_of(key));
    change(record);
    raw.put(table, bytes_of(key), record);
  };
}

auto in_wallet(std::function<void(state::WalletRecord&)> change) {
  return in_state<state::WalletRecord>(Table::accounts, state::wallet_key(1), change);
}
auto in_counters(std::function<void(state::CounterRecord&)> change) {
  return in_state<state::CounterRecord>(Table::accounts,
                                        state::counter_key(state::CounterKind::key, 1, 1), change);
}

template <class Key>
auto without(Table table, Key key) {
  return [=](Copy& copy) { RawState(copy.state()).erase(table, bytes_of(key)); };
}

template <class Record, class Key>
auto torn(Table table, Key key, std::size_t offset) {
  return [=](Copy& copy) { RawState(copy.state()).tear<Record>(table, bytes_of(key), offset); };
}

/// A hold of slot 0 under another number or epoch, with nothing in it.
auto hold_at(std::uint64_t epoch, std::uint64_t seq) {
  return [=](Copy& copy) {
    RawState raw(copy.state());
    auto hold = raw.get<state::HoldRecord>(Table::holds, bytes_of(state::hold_key({1, 0, 8})));
    hold.amount = 0;
    raw.put(Table::holds, bytes_of(state::hold_key({epoch, 0, seq})), hold);
  };
}

/// A hold that no limit stopped: it is counted wherever a hold is, so that all else agrees.
void reserved_below_the_limit(Copy& copy) {
  constexpr Nanos kMore = 6 * kNanosPerUsd;
  RawState raw(copy.state());
  const auto change = [&]<class Record>(Table table, state::ByteSpan key, auto how) {
    auto record = raw.get<Record>(table, key);
    how(record);
    raw.put(table, key, record);
  };
  const auto in_counters = [](state::CounterRecord& c) {
    c.total.reserved += kMore;
    c.day.reserved += kMore;
    c.month.reserved += kMore;
  };
  change.operator()<state::HoldRecord>(Table::holds, bytes_of(state::hold_key({1, 0, 8})),
                                       [](auto& hold) { hold.amount += kMore; });
  change.operator()<state::WalletRecord>(Table::accounts, bytes_of(state::wallet_key(1)),
                                         [](auto& w) { w.held += kMore, w.available -= kMore; });
  for (const auto kind : {state::CounterKind::key, state::CounterKind::wallet}) {
    change.operator()<state::CounterRecord>(Table::accounts,
                                            bytes_of(state::counter_key(kind, 1, 1)), in_counters);
  }
}

auto sql(const char* text) {
  return [=](Copy& copy) { run_sql(copy.ledger(), text); };
}

const Damage kDamages[] = {
    // The shared state.
    {"WalletOffByOneNano", "I1: credits = available .*: wallet 1: credits 5750000000 are not",
     in_wallet([](auto& w) { ++w.available; })},
    {"WalletHoldsMoreThanItsHolds", "I1: held = .*: wallet 1: held 701, its open holds are 700",
     in_wallet([](auto& w) { ++w.held, --w.available; })},
    {"WalletChargedMoreThanItsRows",
     "I1: charged and excess = .*: wallet 1: charged 1311 .*, its rows say 1310",
     in_wallet([](auto& w) { ++w.charged, --w.available; })},
    {"CreditThatNobodyGave", "I1: credits are those .*: wallet 1: base .* applied 750000005",
     in_wallet([](auto& w) { w.applied += 5, w.available += 5; })},
    {"PublishedNumberSkipped",
     "I6: each numbered change is published .*: wallet 1: change 4 is published, .* given 3",
     in_wallet([](auto& w) { ++w.applied_no; })},
    {"WalletLost", "I1: credits are those .*: wallet 2 is in the ledger, but it is not",
     without(Table::accounts, state::wallet_key(2))},
    {"OutboxRowLost", "I5: every outbox row .*: slot 0: outbox row 6 is missing",
     without(Table::outbox, state::outbox_key(0, 6))},
    {"LastOutboxRowLost", "I5: every outbox row .*: slot 1: row 6 is neither .* ends at 6",
     without(Table::outbox, state::outbox_key(1, 6))},
    {"OutboxRowOfAnotherEpoch", "I5: .*: slot 0: outbox row 6 is of epoch 9",
     in_state<state::OutboxRecord>(Table::outbox, state::outbox_key(0, 6),
                                   [](auto& row) { row.hold.epoch = 9; })},
    {"OutboxRowClosesTwice", "I3: each hold closes once: hold 5 of slot 0 .* row 5 .* row 6",
     in_state<state::OutboxRecord>(Table::outbox, state::outbox_key(0, 6),
                                   [](auto& row) { row.hold.seq = 5; })},
    {"SlotNumberSetBack", "I5: .*: ledger row 4 of slot 0, but its outbox ends at 3",
     in_state<state::SlotRecord>(Table::slots, state::number_key(0),
                                 [](auto& slot) { slot.outbox_seq = 3; })},
    {"TornHold", "table holds: the record with key 0{15}10{23}8 is damaged",
     torn<state::HoldRecord>(Table::holds, state::hold_key({1, 0, 8}), 40)},
    {"TornOutboxRow", "table outbox: the record with key 0{23}7 is damaged",
     torn<state::OutboxRecord>(Table::outbox, state::outbox_key(0, 7), 200)},
    {"TornSlot", "table slots: the record with key 0{16} is damaged",
     torn<state::SlotRecord>(Table::slots, state::number_key(0), 20)},
    {"TornWalletCheckValue", "table accounts: the record with key 0{15}1.* is damaged",
     torn<state::WalletRecord>(Table::accounts, state::wallet_key(1), 5)},
    {"ReservedBelowTheLimit",
     "I2: no wallet is below its limit .*: wallet 1: available -250002010, limit 0, by ",
     reserved_below_the_limit},
    {"HoldLost", "I1: held = .*: wallet 1: held 700, its open holds are 0",
     without(Table::holds, state::hold_key({1, 0, 8}))},
    {"HoldOfAnotherEpoch", "I3: an open hold .*: hold 8 of slot 0 is of epoch 7", hold_at(7, 8)},
    {"HoldThatWasNeverGivenOut", "I3: .*: hold 99 of slot 0 was never given out: .* last is 8",
     hold_at(1, 99)},
    {"HoldThatWasClosed", "I3: .*: hold 2 of slot 0 was closed by row 2", hold_at(1, 2)},
    {"KeyInUseByNobody", "I3: an Idempotency-Key .*: request 4d0{30} has no hold",
     in_state<state::IdemRecord>(Table::idem, state::idem_key(1, {9}),
                                 [](state::IdemRecord& row) { row.request_id = {77}; })},
    {"TornKeyInUse", "table idem: the record with key .* is damaged",
     torn<state::IdemRecord>(Table::idem, state::idem_key(1, {9}), 20)},
    {"HoldWithoutReservation",
     "I1: reserved and in flight .*: counters of key 1: reserved in total 0, open holds 700",
     in_counters([](auto& c) { c.total.reserved = 0; })},
    {"InFlightLeaks", "I1: .*: counters of key 1: 2 in flight, 1 open holds",
     in_counters([](auto& c) { ++c.in_flight; })},
    {"DayOffByOneNano", "I1: spent = .*: counters of key 1: spent today 1309, its rows say 1310",
     in_counters([](auto& c) { --c.day.spent; })},
    // The ledger.
    {"StaleEpoch", "shared state: epoch 1 of environment .*, the ledger's newest is 2 of",
     sql("UPDATE node_epoch SET closed_ns = 1; INSERT INTO node_epoch (node, epoch, uuid, "
         "opened_ns, closed_ns, batch, clean) VALUES (1, 2, 'other', 1, 0, 0, 0)")},
    {"UsageRowTwice", "I3: each hold closes once: hold 2 of slot 0 is closed by row 2 and again",
     sql("CREATE TEMP TABLE t AS SELECT * FROM usage WHERE slot = 0 AND seq = 2; "
         "UPDATE t SET id = id + 500, seq = 5; INSERT INTO usage SELECT * FROM t")},
    {"UsageRowLost", "I5: .*: slot 0: row 2 is missing in the ledger",
     sql("DELETE FROM usage WHERE slot = 0 AND seq = 2")},
    {"UsageRowCheaper", "I9: .*: ledger row 1 of slot 1: 209 nanos, its tokens cost 210",
     sql("UPDATE usage SET charged = charged - 1 WHERE slot = 1 AND seq = 1")},
    {"ChargedAboveTheHold", "I4: .*: ledger row 4 of slot 0: charged 60 of a hold of 50",
     sql("UPDATE usage SET charged = charged + 10, loss = loss - 10 "
         "WHERE slot = 0 AND seq = 4")},
    {"CursorAhead", "I5: the ledger is not ahead .*: ledger cursor of slot 0 is 104, .* at 7",
     sql("UPDATE cursor SET seq = seq + 100 WHERE slot = 0")},
    {"CursorBehind", "I5: .*: slot 1: outbox row 3 is missing",
     sql("UPDATE cursor SET seq = seq - 1 WHERE slot = 1")},
    {"EntryWithoutAccount", "I7: every entry has both .*: ledger entry [0-9]+ lacks an account",
     sql("INSERT INTO entry (at_ns, kind, debit_account, credit_account, amount, wallet_id, "
         "price_version, batch, wallet_no, note) VALUES (1, 1, 77, 1, 10, 0, 0, 0, 0, '')")},
    {"AccountOffByOneNano", "I8: replaying .*: ledger account revenue: posted debits 0 credits",
     sql("UPDATE account SET credits = credits + 1 WHERE name = 'revenue'")},
    {"EntryChanged", "I8: replaying .*: ledger account revenue",
     sql("DROP TRIGGER entry_stays; UPDATE entry SET amount = amount + 1 WHERE kind = 3")},
    {"CreditWithoutItsEntry",
     "I6: each credit and debit .*: wallet 1 in the ledger: 2 entries .*, but 3 were given",
     sql("DROP TRIGGER entry_kept; DELETE FROM entry WHERE wallet_id = 1 AND wallet_no = 1")},
    {"QueuedCreditWithoutEntry",
     "I6: each credit and debit .*: publish queue, wallet 2 number 3: 1000 nanos, but there is no",
     sql("INSERT INTO publish_queue (wallet_id, wallet_no, amount) VALUES (2, 3, 1000)")},
    {"QueuedCreditOfAnotherAmount",
     "I6: each credit and debit .*: publish queue, wallet 2 number 2: 2000000001 nanos, its entry",
     sql("UPDATE publish_queue SET amount = amount + 1")},
    {"QueuedCreditLost", "I6: .*: wallet 2: changes 2 to 2 are not published, 0 of them",
     sql("DELETE FROM publish_queue")},
    {"BaseChanged", "I1: credits are those .*: wallet 2: base 3000000000 .* say 3000000001",
     sql("UPDATE epoch_base SET base = base + 1 WHERE wallet_id = 2")},
    {"WindowSumOffByOneNano",
     "I1: spent = .*: counters of wallet 2: spent in total 1260, its rows say 1261",
     sql("UPDATE window_sum SET spent = spent + 1 WHERE owner_kind = 2 AND owner_id = 2")},
};

class CheckTest : public testing::TestWithParam<Damage> {
 protected:
  static void SetUpTestSuite() { sample_ = std::make_unique<Sample>(); }
  static void TearDownTestSuite() { sample_.reset(); }
  static std::unique_ptr<Sample> sample_;
};
std::unique_ptr<Sample> CheckTest::sample_;

TEST_P(CheckTest, NamesWhatAndWhere) {
  Copy copy(*sample_);
  GetParam().spoil(copy);
  std::string line, report;
  EXPECT_EQ(copy.check(line, report), 1) << report;
  EXPECT_TRUE(std::regex_search(line, std::regex(GetParam().line))) << line << report;
  EXPECT_TRUE(line.starts_with("sluice: check: ")) << line;
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line: " << line;
}

INSTANTIATE_TEST_SUITE_P(Damage, CheckTest, testing::ValuesIn(kDamages),
                         [](const auto& info) { return std::string(info.param.name); });

class CheckCleanTest : public testing::Test {};

/// Wallets that are below today's limit, each by what no request did.
class BelowItsLimit : public Node {
 protected:
  void check_is_clean() {
    const auto row = environment().find_wallet(static_cast<state::WalletId>(account_.wallet.id));
    ASSERT_TRUE(row && *row);
    EXPECT_LT((*row)->available, -(*row)->overdraft_limit);
    reconciler_.reset();
    books_.reset();
    std::ofstream(disk_.path() + "/sluice.toml")
        << "[state]\ndirectory = \"" << state_.path() << "\"\n[ledger]\ndatabase = \"ledger.db\"\n";
    EXPECT_EQ(
        std::system((SLUICE_PROGRAM " --config " + disk_.path() + "/sluice.toml check").c_str()),
        0);
  }
  Account account_;
};

TEST_F(BelowItsLimit, ByADebitAfterItWasSpent) {
  account_ = add_account("acme", kNanosPerUsd);
  start();
  settle_down();
  shard().request(account_.wallet.id, account_.key.id, kNanosPerUsd, kNanosPerUsd);
  ASSERT_TRUE(books_->money().credit(account_.wallet.id, kNanosPerUsd,
                                     ledger::House::funding_credit, "given"));
  ASSERT_TRUE(books_->money().debit(account_.wallet.id, 2 * kNanosPerUsd,
                                    ledger::House::funding_credit, "taken back"));
  settle_down();
  check_is_clean();
}

TEST_F(BelowItsLimit, ByALimitThatWasLoweredAfterwards) {
  account_ = add_account("acme", kNanosPerUsd);
  start();
  account_.wallet.overdraft_limit = kNanosPerUsd;
  ASSERT_TRUE(books_->customers().update(account_.wallet));
  settle_down();
  shard().request(account_.wallet.id, account_.key.id, 2 * kNanosPerUsd, 2 * kNanosPerUsd);
  account_.wallet.overdraft_limit = 0;
  ASSERT_TRUE(books_->customers().update(account_.wallet));
  settle_down();
  check_is_clean();
}

TEST_F(BelowItsLimit, ByAHoldThatHadExpired) {
  account_ = add_account("acme", kNanosPerUsd);
  start();
  settle_down();
  PlayedShard slow = shard();
  const ledger::Id wallet = account_.wallet.id, key = account_.key.id;
  const state::Outcome late = slow.reserve(wallet, key, kNanosPerUsd);
  ASSERT_EQ(late.verdict, state::Verdict::done);
  ASSERT_TRUE(state::Writer(environment()).expire(late.hold, 2000 * kSecond));
  slow.request(wallet, key, kNanosPerUsd, kNanosPerUsd);
  EXPECT_EQ(slow.settle(late.hold, kNanosPerUsd, wallet, key).verdict, state::Verdict::done);
  check_is_clean();
}

TEST_F(CheckCleanTest, NothingIsWrongInTheSampleOrInItsLedgerAlone) {
  const Sample sample;
  Copy copy(sample);
  std::string line, report;
  EXPECT_EQ(copy.check(line, report), 0) << line << report;
  EXPECT_EQ(line, "");
  EXPECT_NE(report.find("undrained 6"), std::string::npos) << report;
  std::filesystem::remove_all(copy.state());
  EXPECT_EQ(copy.check(line, report), 0) << line << report;
}

}  // namespace
}  // namespace sluice::reconcile
