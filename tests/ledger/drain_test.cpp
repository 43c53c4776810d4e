#include "ledger_fixture.hpp"

#include <sqlite3.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <limits>

namespace sluice::ledger {
namespace {

class DrainTest : public LedgerTest {
 protected:
  DrainTest() : wallet_(add_customer("acme")) {
    EXPECT_TRUE(ledger_->money().credit(wallet_.id, 1000, House::funding_credit, ""));
  }
  Result<> drain(std::vector<UsageRow> rows) {
    return ledger_->usage().drain({1, 1, std::move(rows)});
  }
  std::uint64_t cursor(std::uint32_t slot) {
    auto cursors = ledger_->usage().cursors(1, 1);
    EXPECT_TRUE(cursors);
    for (const Cursor& cursor : *cursors) {
      if (cursor.slot == slot) return cursor.seq;
    }
    return 0;
  }
  std::size_t stored() {
    UsageFilter all;
    all.limit = 100'000;
    return ledger_->usage().list(all)->size();
  }
  Wallet wallet_;
};

TEST_F(DrainTest, ChargesOnceAndMovesTheCursor) {
  ASSERT_TRUE(drain(usage_rows(0, 1, 5, wallet_.id))) << ledger_->last_error();
  EXPECT_EQ(cursor(0), 5U);
  EXPECT_EQ(balance(wallet_.id), 950);
  EXPECT_EQ(stored(), 5U);
  expect_balanced();
}

TEST_F(DrainTest, DuplicateBatchIsAConflictAndChangesNothing) {
  ASSERT_TRUE(drain(usage_rows(0, 1, 5, wallet_.id)));
  EXPECT_EQ(drain(usage_rows(0, 1, 5, wallet_.id)).error().code, Errc::conflict);
  EXPECT_EQ(drain(usage_rows(0, 3, 8, wallet_.id)).error().code, Errc::conflict);
  EXPECT_EQ(balance(wallet_.id), 950);
  EXPECT_EQ(stored(), 5U);
  ASSERT_TRUE(drain(usage_rows(0, 6, 8, wallet_.id)));
  EXPECT_EQ(balance(wallet_.id), 920);
}

TEST_F(DrainTest, AGapIsRefused) {
  EXPECT_EQ(drain(usage_rows(0, 2, 3, wallet_.id)).error().code, Errc::conflict);
  auto rows = usage_rows(0, 1, 3, wallet_.id);
  rows.erase(rows.begin() + 1);
  EXPECT_EQ(drain(rows).error().code, Errc::bad_value);
  auto reversed = usage_rows(0, 1, 2, wallet_.id);
  std::swap(reversed[0], reversed[1]);
  EXPECT_EQ(drain(reversed).error().code, Errc::bad_value);
  EXPECT_EQ(cursor(0), 0U);
  EXPECT_EQ(balance(wallet_.id), 1000);
}

TEST_F(DrainTest, SlotsAreIndependent) {
  auto rows = usage_rows(0, 1, 2, wallet_.id);
  const auto more = usage_rows(3, 1, 4, wallet_.id);
  rows.insert(rows.end(), more.begin(), more.end());
  ASSERT_TRUE(drain(rows));
  EXPECT_EQ(cursor(0), 2U);
  EXPECT_EQ(cursor(3), 4U);
}

TEST_F(DrainTest, NoAmountIsNegativeOrOverflows) {
  auto negative = usage_rows(0, 1, 1, wallet_.id, -1);
  negative[0].held = 0;
  EXPECT_EQ(drain(negative).error().code, Errc::bad_value);
  EXPECT_EQ(drain(usage_rows(0, 1, 2, wallet_.id, std::numeric_limits<Nanos>::max())).error().code,
            Errc::bad_value);
  EXPECT_EQ(balance(wallet_.id), 1000);
}

TEST_F(DrainTest, ExcessAndLossHaveTheirOwnEntries) {
  auto rows = usage_rows(0, 1, 1, wallet_.id, 10);
  rows[0].excess = 3;
  rows[0].loss = 2;
  ASSERT_TRUE(drain(rows));
  EXPECT_EQ(balance(wallet_.id), 1000 - 13);
  auto accounts = ledger_->money().accounts();
  ASSERT_TRUE(accounts);
  for (const Account& account : *accounts) {
    if (account.id == static_cast<Id>(House::revenue)) EXPECT_EQ(account.credits, 15);
    if (account.id == static_cast<Id>(House::loss_excess)) EXPECT_EQ(account.debits, 2);
  }
  expect_balanced();
}

TEST_F(DrainTest, EntriesAreOneAWalletAndPriceVersion) {
  const Wallet other = add_customer("other");
  auto rows = usage_rows(0, 1, 3, wallet_.id);
  const auto more = usage_rows(0, 4, 6, other.id);
  rows.insert(rows.end(), more.begin(), more.end());
  rows[1].price_version = 2;
  ASSERT_TRUE(drain(rows));
  auto history = ledger_->money().history(wallet_.id, 10);
  ASSERT_EQ(history->size(), 3U);  // two charges and the credit
  EXPECT_EQ((*history)[0].amount + (*history)[1].amount, 30);
  EXPECT_EQ(balance(other.id), -30);
}

TEST_F(DrainTest, FieldsComeBackAsTheyWere) {
  auto rows = usage_rows(2, 1, 1, wallet_.id);
  UsageRow& row = rows[0];
  row.end = 3, row.phase = 4, row.error = 5, row.flags = 6, row.format_in = 1, row.format_out = 2,
  row.stream = true;
  row.channel_key_id = 8, row.multiplier = 900, row.attempts = 2, row.client_retry = 1;
  row.cache_read = 11, row.cache_write_short = 12, row.cache_write_long = 13, row.reasoning = 14;
  row.calls = {0, 2, 0, 0, 0, 1};
  row.input_estimate = 15, row.counted_output = 16, row.queue_ns = 17, row.connect_ns = 18,
  row.first_byte_ns = 19;
  row.first_token_ns = 20, row.total_ns = 21, row.own_ns = 22, row.bytes_in = 23,
  row.bytes_out = 24;
  row.request_id = "0123456789abcdef0123456789abcdef";
  row.client_address = "::1";
  row.tags = "ticket=7 \"quoted\"";
  ASSERT_TRUE(drain(rows));
  UsageFilter filter;
  filter.request_id = row.request_id;
  auto found = ledger_->usage().list(filter);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  const UsageRow& back = (*found)[0].row;
  EXPECT_EQ((*found)[0].batch, 1);
  EXPECT_EQ(back.slot, 2U);
  EXPECT_EQ(back.end, 3);
  EXPECT_TRUE(back.stream);
  EXPECT_EQ(back.channel_key_id, 8);
  EXPECT_EQ(back.cache_write_long, 13);
  EXPECT_EQ(back.calls, row.calls);
  EXPECT_EQ(back.own_ns, 22);
  EXPECT_EQ(back.bytes_out, 24);
  EXPECT_EQ(back.wallet_month, row.wallet_month);
  EXPECT_EQ(back.tags, row.tags);
  EXPECT_EQ(back.client_address, "::1");
}

TEST_F(DrainTest, WindowAndDaySumsAddUp) {
  ASSERT_TRUE(drain(usage_rows(0, 1, 5, wallet_.id)));
  auto next_day = usage_rows(0, 6, 6, wallet_.id);
  next_day[0].key_day = next_day[0].wallet_day = 20'834;
  ASSERT_TRUE(drain(next_day));
  auto sums = ledger_->usage().window_sums(OwnerKind::key, 1);
  ASSERT_TRUE(sums);
  ASSERT_EQ(sums->size(), 2U);
  EXPECT_EQ((*sums)[0].spent, 50);
  EXPECT_EQ((*sums)[1].spent, 10);
  auto stats = ledger_->usage().stats(StatsBy::day, {});
  ASSERT_TRUE(stats);
  ASSERT_EQ(stats->size(), 1U);
  EXPECT_EQ((*stats)[0].name, "2027-01-15");
  EXPECT_EQ((*stats)[0].requests, 6);
  EXPECT_EQ((*stats)[0].input, 18);
  EXPECT_EQ((*stats)[0].charged, 60);
}

TEST_F(DrainTest, FullBatchesOfChangingSizeGoThroughOneStatement) {
  constexpr std::size_t kSizes[] = {1, kDrainRowsMax, 3, 250};
  std::uint64_t next = 1;
  for (const std::size_t size : kSizes) {
    ASSERT_TRUE(drain(usage_rows(0, next, next + size - 1, wallet_.id, 1))) << size;
    next += size;
  }
  EXPECT_EQ(stored(), next - 1);
  EXPECT_EQ(balance(wallet_.id), 1000 - static_cast<Nanos>(next - 1));
}

TEST_F(DrainTest, OneRowThatATableRefusesTakesItsBatchAlong) {
  ASSERT_TRUE(drain(usage_rows(0, 1, 2, wallet_.id)));
  auto rows = usage_rows(0, 3, 7, wallet_.id);
  rows[2].held = -1;
  EXPECT_EQ(drain(rows).error().code, Errc::conflict);
  rows = usage_rows(0, 3, 7, wallet_.id);
  rows[4].wallet_id = 99;  // there is no such account
  EXPECT_EQ(drain(rows).error().code, Errc::conflict);
  EXPECT_EQ(cursor(0), 2U);
  EXPECT_EQ(stored(), 2U);
  EXPECT_EQ(balance(wallet_.id), 980);
  EXPECT_EQ(ledger_->usage().window_sums(OwnerKind::key, 0)->front().spent, 20);
  ASSERT_TRUE(drain(usage_rows(0, 3, 7, wallet_.id)));
  expect_balanced();
}

TEST_F(DrainTest, SumsOfKnownAndNewOwnersInOneBatch) {
  const Wallet other = add_customer("other");
  ASSERT_TRUE(drain(usage_rows(0, 1, 2, wallet_.id)));
  auto rows = usage_rows(0, 3, 3, wallet_.id);
  auto more = usage_rows(1, 1, 3, other.id, 7);
  for (UsageRow& row : more) row.key_id = 2;
  rows.insert(rows.end(), more.begin(), more.end());
  ASSERT_TRUE(drain(rows));
  EXPECT_EQ(balance(wallet_.id), 970);
  EXPECT_EQ(balance(other.id), -21);
  EXPECT_EQ(ledger_->usage().window_sums(OwnerKind::key, 1)->front().spent, 30);
  EXPECT_EQ(ledger_->usage().window_sums(OwnerKind::key, 2)->front().spent, 21);
  EXPECT_EQ(ledger_->usage().window_sums(OwnerKind::wallet, other.id)->front().spent, 21);
  expect_balanced();
}

TEST_F(DrainTest, OldRowsGoBatchByBatchAndMoneyStays) {
  ASSERT_TRUE(drain(usage_rows(0, 1, 5, wallet_.id)));
  clock_.advance(10 * kSecond);
  ASSERT_TRUE(drain(usage_rows(0, 6, 8, wallet_.id)));
  EXPECT_EQ(ledger_->usage().remove_before(clock_.realtime_ns(), 10).value_or(-1), 5);
  EXPECT_EQ(ledger_->usage().remove_before(clock_.realtime_ns(), 10).value_or(-1), 0);
  EXPECT_EQ(stored(), 3U);
  EXPECT_EQ(balance(wallet_.id), 920);
  ASSERT_TRUE(drain(usage_rows(0, 9, 9, wallet_.id)));
}

// A machine whose clock began in 1970, or was a hundred years ahead for a while.
TEST_F(DrainTest, RowsOfAWrongClockGoInTheirTurn) {
  const TimeNs right_ns = clock_.realtime_ns();
  const auto drain_at = [&](TimeNs at_ns, std::uint64_t seq) {
    clock_.set_realtime_ns(at_ns);
    ASSERT_TRUE(drain(usage_rows(0, seq, seq, wallet_.id)));
  };
  const auto remove = [&](TimeNs before_ns) {
    return ledger_->usage().remove_before(before_ns, 10).value_or(-1);
  };
  drain_at(right_ns, 1);
  drain_at(kSecond, 2);
  drain_at(2 * kSecond, 3);
  drain_at(right_ns + 100 * kSecond, 4);
  drain_at(right_ns + 4'000'000'000 * kSecond, 5);
  drain_at(right_ns + 200 * kSecond, 6);
  EXPECT_EQ(remove(right_ns), 0) << "they are not older than what was before them";
  EXPECT_EQ(remove(right_ns + 50 * kSecond), 3);
  EXPECT_EQ(remove(right_ns + 50 * kSecond), 0);
  EXPECT_EQ(remove(right_ns + 150 * kSecond), 1);
  EXPECT_EQ(remove(right_ns + 150 * kSecond), 0) << "what was dated too late is not yet old";
  reopen();
  EXPECT_EQ(remove(right_ns + 250 * kSecond), 2);
  EXPECT_EQ(stored(), 0U);
  clock_.set_realtime_ns(kSecond);
  ASSERT_TRUE(drain(usage_rows(0, 7, 7, wallet_.id)));
  EXPECT_EQ(remove(kSecond - 180 * 86'400 * kSecond), 0) << "nothing is old in 1970";
}

TEST_F(DrainTest, SumsMadeAnewAgreeWithWhatIsKept) {
  ASSERT_TRUE(drain(usage_rows(0, 1, 5, wallet_.id)));
  clock_.advance(10 * kSecond);
  auto more = usage_rows(0, 6, 8, wallet_.id);
  more[1].excess = 4;
  more[2].loss = 2;
  ASSERT_TRUE(drain(more));
  EXPECT_TRUE(ledger_->sums().batches_that_differ().value().empty());
  for (const AccountSums& sums : *ledger_->sums().accounts()) {
    EXPECT_EQ(sums.debits, sums.posted_debits) << sums.account_id;
    EXPECT_EQ(sums.credits, sums.posted_credits) << sums.account_id;
  }
  ASSERT_EQ(ledger_->usage().remove_before(clock_.realtime_ns(), 10).value_or(-1), 5);
  EXPECT_TRUE(ledger_->sums().batches_that_differ().value().empty());
  const auto removed = ledger_->sums().removed(1, 1);
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->rows, 5);
  ASSERT_EQ(removed->sums.size(), 1U);
  EXPECT_EQ(removed->sums[0].charged, 50);
  std::vector<std::uint64_t> seqs;
  ASSERT_TRUE(ledger_->sums().each_usage(
      1, 1, [&](const StoredUsage& row) { seqs.push_back(row.row.seq); }));
  EXPECT_EQ(seqs, (std::vector<std::uint64_t>{6, 7, 8}));
  const auto numbered = ledger_->sums().numbered_entries();
  ASSERT_TRUE(numbered);
  ASSERT_EQ(numbered->size(), 1U);
  EXPECT_EQ((*numbered)[0].amount, 1000);
}

// A question whose rows were not all taken kept its snapshot: once another program had written,
// this connection was told "locked" for ever (tools/sim --everywhere).
TEST_F(DrainTest, AQuestionThatIsBrokenOffKeepsNoSnapshot) {
  ASSERT_TRUE(drain(usage_rows(0, 1, 3, wallet_.id)));
  const auto broken = ledger_->sums().each_usage(
      1, 1, [](const StoredUsage&) -> void { throw std::bad_alloc(); });
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, Errc::internal);
  std::string message;
  auto other = Ledger::open(file(), Access::read_write, clock_, message);
  ASSERT_TRUE(other) << message;
  ASSERT_TRUE((*other)->money().credit(wallet_.id, 5, House::funding_credit, ""));
  EXPECT_TRUE(drain(usage_rows(0, 4, 6, wallet_.id))) << ledger_->last_error();
}

// kill -9 at every crash point of a drain: after reopening, the cursor says whether the batch is
// there, and it is there wholly or not at all.
TEST_F(DrainTest, DyingAtAnyCommitLeavesAllOrNothing) {
  bool finished = false;
  std::uint64_t next = 1;
  for (int at = 1; !finished && at < 50; ++at) {
    ledger_.reset();
    const pid_t child = ::fork();
    if (child == 0) {
      ::setenv("SLUICE_CRASH_AT", std::to_string(at).c_str(), 1);
      std::string message;
      auto opened = Ledger::open(file(), Access::read_write, clock_, message);
      if (!opened) ::_exit(2);
      ::_exit((*opened)->usage().drain({1, 1, usage_rows(0, next, next + 4, wallet_.id)}) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    ASSERT_TRUE(finished || WIFSIGNALED(status)) << status;
    reopen();
    const std::uint64_t reached = cursor(0);
    ASSERT_TRUE(reached == next - 1 || reached == next + 4) << reached;
    EXPECT_EQ(stored(), reached);
    EXPECT_EQ(balance(wallet_.id), 1000 - 10 * static_cast<Nanos>(reached));
    expect_balanced();
    next = reached + 1;
  }
  EXPECT_TRUE(finished);
}

// M26: a copy that is made while others write is a ledger of one moment.
TEST_F(DrainTest, BackupWhileAnotherProcessDrainsIsWhole) {
  ledger_.reset();
  const pid_t child = ::fork();
  if (child == 0) {
    std::string message;
    auto opened = Ledger::open(file(), Access::read_write, clock_, message);
    for (std::uint64_t next = 1; opened; next += 5) {
      if (!(*opened)->usage().drain({1, 1, usage_rows(0, next, next + 4, wallet_.id, 1)})) _exit(1);
    }
    _exit(2);
  }
  reopen();
  std::uint64_t last = 0;
  for (int i = 0; i < 8; ++i) {
    const std::string copy = (directory_ / ("copy" + std::to_string(i))).string();
    while (cursor(0) < last + 5) ::usleep(1000);
    ASSERT_TRUE(ledger_->backup_to(copy)) << ledger_->last_error();
    std::string message;
    auto opened = Ledger::open(copy, Access::read_write, clock_, message);
    ASSERT_TRUE(opened) << message;
    std::swap(ledger_, *opened);
    last = cursor(0);
    EXPECT_GT(last, 0U);
    EXPECT_EQ(stored(), last);
    EXPECT_EQ(balance(wallet_.id), 1000 - static_cast<Nanos>(last));
    EXPECT_TRUE(ledger_->sums().batches_that_differ().value().empty());
    expect_balanced();
    std::swap(ledger_, *opened);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_F(DrainTest, FailedAttemptsAreKeptWithTheirRowAndGoWithIt) {
  DrainBatch batch{1, 1, usage_rows(0, 1, 2, wallet_.id)};
  batch.rows[1].route_reason = 6;
  batch.rows[1].upstream_cost = 7;
  batch.rows[1].failed[0] = {4, 40, 429, 3, true, 12, 0};
  batch.rows[1].failed[1] = {5, 50, 0, 1, true, 800, 99};
  ASSERT_TRUE(ledger_->usage().drain(batch)) << ledger_->last_error();
  const auto rows = ledger_->usage().list({});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->front().row.route_reason, 6);
  EXPECT_EQ(rows->front().row.upstream_cost, 7);
  const auto attempts = ledger_->usage().attempts(rows->back().id, rows->front().id);
  ASSERT_TRUE(attempts) << ledger_->last_error();
  ASSERT_EQ(attempts->size(), 2U);
  EXPECT_EQ(attempts->at(0).first, rows->front().id);
  EXPECT_EQ(attempts->at(0).second.status, 429);
  EXPECT_EQ(attempts->at(1).second.cost, 99);
  EXPECT_TRUE(attempts->at(1).second.sent);
  // Each channel has cost what was asked of it, whoever served in the end.
  UsageFilter filter;
  filter.channel_id = 5;
  const auto failed = ledger_->usage().stats(StatsBy::channel, filter);
  ASSERT_EQ(failed->size(), 1U);
  EXPECT_EQ(failed->front().upstream_cost, 99);
  EXPECT_EQ(failed->front().requests, 0);
  filter.channel_id = 1;
  const auto served = ledger_->usage().stats(StatsBy::channel, filter);
  EXPECT_EQ(served->front().upstream_cost, 7);
  EXPECT_EQ(served->front().charged, 20);
  filter.channel_id = 4;
  EXPECT_TRUE(ledger_->usage().stats(StatsBy::channel, filter)->empty()) << "it cost nothing";
  EXPECT_EQ(ledger_->usage().remove_before(INT64_MAX, 10).value(), 2);
  EXPECT_TRUE(ledger_->usage().attempts(0, INT64_MAX).value().empty());
}

}  // namespace
}  // namespace sluice::ledger
