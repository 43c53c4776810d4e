#include "ledger_fixture.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include <limits>

namespace sluice::ledger {
namespace {

TEST_F(LedgerTest, CreditIsEntryPairNumberAndQueueRow) {
  const Wallet wallet = add_customer("acme");
  auto entry =
      ledger_->money().credit(wallet.id, 10 * kNanosPerUsd, House::funding_credit, "first");
  ASSERT_TRUE(entry) << ledger_->last_error();
  EXPECT_EQ(entry->wallet_no, 1);
  EXPECT_EQ(balance(wallet.id), 10 * kNanosPerUsd);
  auto queued = ledger_->money().queued(10);
  ASSERT_TRUE(queued);
  ASSERT_EQ(queued->size(), 1U);
  EXPECT_EQ((*queued)[0].amount, 10 * kNanosPerUsd);
  expect_balanced();
  EXPECT_EQ(ledger_->money().is_published(wallet.id, 1).value_or(true), false);
  ASSERT_TRUE(ledger_->money().published(wallet.id, 1));
  EXPECT_EQ(ledger_->money().is_published(wallet.id, 1).value_or(false), true);
}

TEST_F(LedgerTest, DebitMayGoBelowZero) {
  const Wallet wallet = add_customer("acme");
  ASSERT_TRUE(ledger_->money().debit(wallet.id, 7, House::funding_credit, ""));
  EXPECT_EQ(balance(wallet.id), -7);
  EXPECT_EQ((*ledger_->money().queued(10))[0].amount, -7);
  expect_balanced();
}

TEST_F(LedgerTest, AmountsAreAboveZero) {
  const Wallet wallet = add_customer("acme");
  for (const Nanos amount : {Nanos{0}, Nanos{-1}, std::numeric_limits<Nanos>::min()}) {
    EXPECT_EQ(ledger_->money().credit(wallet.id, amount, House::funding_credit, "").error().code,
              Errc::bad_value);
  }
  EXPECT_TRUE(ledger_->money().queued(10)->empty());
}

TEST_F(LedgerTest, OverflowOfATotalChangesNothing) {
  const Wallet wallet = add_customer("acme");
  const Nanos most = std::numeric_limits<Nanos>::max();
  ASSERT_TRUE(ledger_->money().credit(wallet.id, most, House::funding_credit, ""));
  EXPECT_FALSE(ledger_->money().credit(wallet.id, 1, House::funding_credit, ""));
  EXPECT_EQ(balance(wallet.id), most);
  EXPECT_EQ(ledger_->money().queued(10)->size(), 1U);
}

TEST_F(LedgerTest, UnknownWalletIsNotFound) {
  EXPECT_EQ(ledger_->money().credit(99, 1, House::funding_credit, "").error().code,
            Errc::not_found);
  expect_balanced();
}

TEST_F(LedgerTest, WriteRollsBackWhenItsBodyFails) {
  const Wallet wallet = add_customer("acme");
  auto done = ledger_->write([&]() -> Result<> {
    EXPECT_TRUE(ledger_->money().credit(wallet.id, 5, House::funding_credit, ""));
    return fail(Errc::cancelled);
  });
  EXPECT_EQ(done.error().code, Errc::cancelled);
  EXPECT_EQ(balance(wallet.id), 0);
}

TEST_F(LedgerTest, TwoConnectionsWaitForEachOther) {
  const Wallet wallet = add_customer("acme");
  std::string message;
  auto other = Ledger::open(file(), Access::read_write, clock_, message);
  ASSERT_TRUE(other) << message;
  ASSERT_TRUE((*other)->money().credit(wallet.id, 5, House::funding_credit, ""));
  ASSERT_TRUE(ledger_->money().credit(wallet.id, 6, House::funding_credit, ""));
  EXPECT_EQ(balance(wallet.id), 11);
}

// The reconciler and the first `sluice` command find no ledger and make it, both at once. Here the
// other one is about to write the new file when we make it a WAL one.
TEST_F(LedgerTest, ANewOneMayBeOpenedByOthersMeanwhile) {
  constexpr off_t kReservedByte = 0x4000'0001;  // SQLite's lock of who is about to write
  const std::string fresh = file() + "-fresh";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t other = ::fork();
  ASSERT_GE(other, 0);
  if (other == 0) {
    const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = kReservedByte;
    lock.l_len = 1;
    const char locked = ::fcntl(fd, F_SETLK, &lock) == 0 ? 1 : 0;
    if (::write(ready[1], &locked, 1) == 1) ::usleep(300'000);
    ::_exit(0);  // which gives the lock back
  }
  char locked = 0;
  ASSERT_EQ(::read(ready[0], &locked, 1), 1);
  ASSERT_EQ(locked, 1);
  std::string message;
  const auto opened = Ledger::open(fresh, Access::read_write, clock_, message);
  EXPECT_TRUE(opened) << message;
  EXPECT_EQ(::waitpid(other, nullptr, 0), other);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(LedgerTest, SurvivesReopening) {
  const Wallet wallet = add_customer("acme");
  ASSERT_TRUE(ledger_->money().credit(wallet.id, 5, House::funding_credit, "kept"));
  reopen();
  EXPECT_EQ(balance(wallet.id), 5);
  auto history = ledger_->money().history(wallet.id, 10);
  ASSERT_TRUE(history);
  ASSERT_EQ(history->size(), 1U);
  EXPECT_EQ((*history)[0].note, "kept");
}

TEST_F(LedgerTest, ReadOnlyNeitherCreatesNorWrites) {
  std::string message;
  EXPECT_EQ(Ledger::open(file() + ".none", Access::read_only, clock_, message).error().code,
            Errc::not_found);
  const Wallet wallet = add_customer("acme");
  auto reader = Ledger::open(file(), Access::read_only, clock_, message);
  ASSERT_TRUE(reader) << message;
  EXPECT_FALSE((*reader)->money().credit(wallet.id, 5, House::funding_credit, ""));
  EXPECT_EQ(balance(wallet.id), 0);
}

}  // namespace
}  // namespace sluice::ledger
