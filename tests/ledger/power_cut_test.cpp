// Power cuts at every moment of a ledger's life. The disk's writes and syncs are recorded once;
// each image that a cut could have left is opened by production code: what was confirmed is there,
// what was under way is there wholly or not at all, and the life goes on.
#include <sqlite3.h>

#include <cstdlib>
#include <fstream>
#include <tuple>

#include "ledger_fixture.hpp"
#include "recorded_disk.hpp"

namespace sluice::ledger {
namespace {

constexpr std::uint32_t kSlots = 2;

/// What the books say, in the figures that must not be wrong.
struct Figures {
  std::vector<Nanos> balances;
  std::vector<std::uint64_t> cursors = std::vector<std::uint64_t>(kSlots);
  std::size_t rows = 0, numbered = 0, entries = 0, customers = 0, gaps = 0;
  std::uint64_t epoch = 0;
  friend bool operator==(const Figures&, const Figures&) = default;
};

void PrintTo(const Figures& figures, std::ostream* out) {
  *out << figures.rows << " rows, " << figures.numbered << " changes, " << figures.entries
       << " entries, " << figures.customers << " customers, epoch " << figures.epoch
       << ", balances";
  for (const Nanos balance : figures.balances) *out << ' ' << balance;
}

class PowerCut : public testing::Test {
 protected:
  // On a tmpfs: what is durable is decided here and not by the machine.
  PowerCut() : directory_("/dev/shm/sluice-power-cut-" + std::to_string(::getpid())) { wipe(); }
  ~PowerCut() override {
    books_.reset();
    std::filesystem::remove_all(directory_);
  }

  void wipe() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  [[nodiscard]] std::string file() const { return directory_ + "/ledger.db"; }
  void open() {
    std::string message;
    auto opened = Ledger::open(file(), Access::read_write, clock_, message);
    ASSERT_TRUE(opened) << message;
    books_ = std::move(*opened);
  }

  Figures figures() {
    Figures out;
    const auto customers = books_->customers().list();
    EXPECT_TRUE(customers) << books_->last_error();
    if (!customers) return out;
    out.customers = customers->size();
    for (std::size_t i = 1; i <= customers->size(); ++i)
      out.balances.push_back(books_->customers().wallet(static_cast<Id>(i))->balance);
    for (const Cursor& cursor : *books_->usage().cursors(1, 1))
      out.cursors[cursor.slot] = cursor.seq;
    UsageFilter all;
    all.limit = 100'000;
    out.rows = books_->usage().list(all)->size();
    out.numbered = books_->sums().numbered_entries()->size();
    for (std::size_t i = 1; i <= customers->size(); ++i)
      out.entries += books_->money().history(static_cast<Id>(i), 100'000)->size();
    out.gaps = books_->usage().gaps()->size();
    if (const auto newest = books_->epochs().newest(1)) out.epoch = newest->epoch;
    return out;
  }

  void expect_sound() {
    const auto differ = books_->sums().batches_that_differ();
    ASSERT_TRUE(differ) << books_->last_error();
    EXPECT_TRUE(differ->empty()) << "entries of a batch are not the sums of its rows";
    Nanos debits = 0, credits = 0;
    for (const AccountSums& sums : *books_->sums().accounts()) {
      EXPECT_EQ(sums.debits, sums.posted_debits) << sums.account_id;
      EXPECT_EQ(sums.credits, sums.posted_credits) << sums.account_id;
      debits += sums.posted_debits;
      credits += sums.posted_credits;
    }
    EXPECT_EQ(debits, credits);
    EXPECT_EQ(sql("PRAGMA integrity_check"), "ok");
  }

  std::string sql(const char* text) {
    sqlite3* connection = nullptr;
    EXPECT_EQ(sqlite3_open(file().c_str(), &connection), SQLITE_OK);
    std::string out;
    sqlite3_exec(
        connection, text,
        [](void* to, int, char** columns, char**) {
          *static_cast<std::string*>(to) += columns[0] == nullptr ? "" : columns[0];
          return 0;
        },
        &out, nullptr);
    sqlite3_close(connection);
    return out;
  }

  Result<> drain(std::uint32_t slot, std::uint64_t rows) {
    auto& next = next_[slot];
    const auto batch = usage_rows(slot, next, next + rows - 1, 1 + slot % 2);
    next += rows;
    return books_->usage().drain({1, 1, batch});
  }

  /// Step `number` of the life that is cut. False when there is none left.
  bool live(int number) {
    Customer customer;
    customer.name = "customer " + std::to_string(number);
    Wallet wallet;
    switch (number) {
      case 0:
        open();
        return true;
      case 1:
      case 2:
        EXPECT_TRUE(books_->customers().add(customer, wallet)) << books_->last_error();
        return true;
      case 3:
        EXPECT_TRUE(books_->epochs().open_next(1, {})) << books_->last_error();
        return true;
      case 9:
      case 17:
        sql("PRAGMA wal_checkpoint(PASSIVE)");
        return true;
      case 13:
        sql("PRAGMA wal_checkpoint(TRUNCATE)");
        return true;
      case 20:  // the last one out writes all of the log into the file and removes it
        books_.reset();
        return true;
      case 21:
        open();
        return true;
      case 22:
        EXPECT_EQ(books_->usage().remove_before(clock_.realtime_ns() + kSecond, 2).value_or(0), 41);
        return true;
      case 25:
        EXPECT_TRUE(books_->epochs().open_next(1, {{1, 1, 0, next_[0], 0, "cut", 0}}));
        return true;
      default:
        break;
    }
    if (number > 25) return false;
    if (number % 3 == 0) {
      EXPECT_TRUE(books_->money().credit(1 + number % 2, 1000 + number, House::funding_credit, ""));
    } else {
      EXPECT_TRUE(drain(static_cast<std::uint32_t>(number) % kSlots, number % 3 == 1 ? 1 : 40))
          << books_->last_error();
    }
    return true;
  }

  void write(const DiskImage& image) {
    wipe();
    for (const auto& [name, bytes] : image)
      std::ofstream(directory_ + "/" + name, std::ios::binary) << bytes;
  }

  const std::string directory_;
  ManualClock clock_;
  std::unique_ptr<Ledger> books_;
  std::array<std::uint64_t, kSlots> next_{1, 1};
};

TEST_F(PowerCut, WhatWasConfirmedIsThereWhatWasUnderWayIsWholeOrNot) {
  std::vector<Figures> after;  // of each step
  RecordedDisk recorded;
  for (int step = 0;; ++step) {
    recorded.mark(2 * step);
    if (!live(step) || HasFailure()) break;
    recorded.mark(2 * step + 1);
    after.push_back(books_ ? figures() : after.back());
  }
  ASSERT_FALSE(HasFailure());
  ASSERT_GT(after.back().rows + 41, 200U);
  books_.reset();
  recorded.stop();
  const std::size_t moments = recorded.events().size();

  std::mt19937_64 dice(20261122);
  const char* asked = std::getenv("SLUICE_POWER_CUTS");
  const std::size_t images = asked == nullptr ? 150 : std::strtoul(asked, nullptr, 10);
  std::size_t lost = 0, kept = 0;
  for (std::size_t i = 0; i < images && !HasFailure(); ++i) {
    const std::size_t count =
        images < moments ? i * moments / images + dice() % (moments / images) : i % (moments + 1);
    const DiskImage image = recorded.after_power_cut(count, dice);
    std::size_t confirmed = 0, begun = 0;
    for (std::size_t e = 0; e < count; ++e) {
      if (recorded.events()[e].kind != DiskEvent::Kind::mark) continue;
      const auto number = static_cast<std::size_t>(recorded.events()[e].at);
      (number % 2 == 0 ? begun : confirmed) = number / 2 + 1;
    }
    SCOPED_TRACE("image " + std::to_string(i) + ": cut after " + std::to_string(count) + " of " +
                 std::to_string(moments) + " events, " + std::to_string(confirmed) + " steps done");
    write(image);
    open();
    ASSERT_FALSE(HasFailure());
    const Figures now = figures();
    const Figures before = confirmed == 0 ? Figures() : after[confirmed - 1];
    const Figures then = begun > after.size() ? after.back()
                         : begun == 0         ? Figures()
                                              : after[begun - 1];
    EXPECT_TRUE(now == before || now == then)
        << testing::PrintToString(now) << "\nconfirmed: " << testing::PrintToString(before)
        << "\nor: " << testing::PrintToString(then);
    if (!(before == then)) ++(now == before ? lost : kept);
    expect_sound();
    // The reconciler goes on from the cursor, the operator with his credits.
    if (now.customers == 2) {
      for (std::uint32_t slot = 0; slot < kSlots; ++slot) next_[slot] = now.cursors[slot] + 1;
      EXPECT_TRUE(drain(0, 3)) << books_->last_error();
      EXPECT_TRUE(books_->money().credit(1, 5, House::funding_credit, ""));
      EXPECT_EQ(figures().balances[0], now.balances[0] - 3 * 10 + 5);
    }
    books_.reset();
  }
  EXPECT_GT(lost, 0U) << "no cut hit anything that was under way";
  EXPECT_GT(kept, 0U);
}

}  // namespace
}  // namespace sluice::ledger
