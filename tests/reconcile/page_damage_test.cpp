// M09: any page of a stopped node's shared state is zeroed, filled, has a bit turned over, or the
// file is cut off there. The next start serves the right balances, or ends with one clear line; no
// money is wrong either way, and what cannot be read is a gap.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>

#include "node.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::size_t kPage = 4096;
constexpr Nanos kCost = 300;
constexpr std::uint64_t kRows = 60;

enum class Damage : std::uint8_t { zeros, ones, bit, cut };

const char* name_of(Damage damage) {
  constexpr const char* kNames[] = {"zeros in", "ones in", "a bit turned over in", "cut off at"};
  return kNames[static_cast<std::size_t>(damage)];
}

class PageDamage : public Node {
 protected:
  PageDamage() {
    options_.map_bytes = 2 * kMiB;
    options_.meter_entries = 16;
    options_.records_directory.clear();
  }

  /// A node that was killed with rows in its outbox, an open hold, and a ledger that has some of
  /// it.
  void prepare() {
    account_ = add_account("acme", kNanosPerUsd);
    for (int i = 2; i < 40; ++i) add_account("customer " + std::to_string(i), kNanosPerUsd);
    start();
    settle_down();
    {
      PlayedShard one = shard(0), other = shard(1);
      for (std::uint64_t i = 0; i < kRows; ++i)
        (i % 2 == 0 ? one : other).request(account_.wallet.id, account_.key.id, 1000, kCost);
      ASSERT_TRUE(reconciler_->drain_all(kSecond));
      for (std::uint64_t i = 0; i < kRows; ++i)
        (i % 2 == 0 ? one : other).request(account_.wallet.id, account_.key.id, 1000, kCost);
      ASSERT_EQ(one.reserve(account_.wallet.id, account_.key.id, 5000).verdict,
                state::Verdict::done);
    }
    reconciler_.reset();
    ASSERT_TRUE(books_->backup_to(disk_.path() + "/kept.db"));
    books_.reset();
    std::filesystem::copy(
        state_.path(), disk_.path() + "/kept",
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
    std::ifstream in(disk_.path() + "/kept/epoch.1/data.mdb", std::ios::binary);
    data_.assign(std::istreambuf_iterator<char>(in), {});
  }

  void put_back() {
    for (const auto& entry : std::filesystem::directory_iterator(state_.path()))
      std::filesystem::remove_all(entry.path());
    std::filesystem::copy(
        disk_.path() + "/kept", state_.path(),
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
    for (const char* name : {"/ledger.db", "/ledger.db-wal", "/ledger.db-shm"})
      std::filesystem::remove(disk_.path() + name);
    std::filesystem::copy_file(disk_.path() + "/kept.db", options_.database);
  }

  void damage(std::size_t page, Damage how, std::mt19937& dice) {
    const std::string file = state_.path() + "/epoch.1/data.mdb";
    if (how == Damage::cut) return std::filesystem::resize_file(file, page * kPage);
    std::string bytes = data_.substr(page * kPage, kPage);
    if (how == Damage::bit)
      bytes[dice() % (dice() % 2 == 0 ? 64 : kPage)] ^= static_cast<char>(1 << dice() % 8);
    else
      bytes.assign(kPage, how == Damage::zeros ? 0 : '\xff');
    std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(page * kPage));
    out.write(bytes.data(), kPage);
  }

  /// A start of production code in a process of its own, as it could die of what it reads. Its exit
  /// status; 0 = it served, and left in order; 3 = it said why not.
  int start_once() {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      std::string message;
      auto started = Reconciler::start(options_, clock_, message);
      if (!started) {
        std::fprintf(stderr, "%s\n", message.c_str());
        _exit(message.empty() || message.find('\n') != std::string::npos ? 4 : 3);
      }
      for (int i = 0; i < 5; ++i) {
        clock_.advance(kSecond);
        if (!(*started)->step()) _exit(5);
      }
      _exit((*started)->drain_all(kSecond) ? 0 : 6);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  /// Whatever was served, the money is right: each row once, balances the sums of them, and a gap
  /// for each that is not there.
  void expect_right() {
    std::string message;
    auto opened =
        ledger::Ledger::open(options_.database, ledger::Access::read_write, clock_, message);
    ASSERT_TRUE(opened) << message;
    books_ = std::move(*opened);
    std::map<std::uint32_t, std::uint64_t> last;
    auto rows = usage();
    std::ranges::reverse(rows);
    Nanos charged = 0;
    for (const ledger::StoredUsage& row : rows) {
      if (row.epoch == 1) EXPECT_EQ(row.row.seq, ++last[row.row.slot]);
      EXPECT_LE(row.row.charged, 1000) << "row " << row.row.seq;
      if (row.row.end != static_cast<int>(price::End::shard_died))
        EXPECT_EQ(row.row.charged, kCost);
      charged += row.row.charged;
    }
    EXPECT_EQ(balance(account_), kNanosPerUsd - charged);
    const auto gaps = books_->usage().gaps();
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
      if (last[slot] >= kRows) continue;
      const bool noted = std::ranges::any_of(*gaps, [&](const ledger::Gap& gap) {
        return gap.epoch == 1 && gap.slot == slot && gap.from_seq <= last[slot] + 1;
      });
      EXPECT_TRUE(noted) << "slot " << slot << " ends at " << last[slot] << " and no gap says so";
    }
    auto environment = state::open({.directory = state_.path()}, message);
    ASSERT_TRUE(environment) << message;
    const auto wallet = (*environment)->find_wallet(static_cast<std::uint64_t>(account_.wallet.id));
    ASSERT_TRUE(wallet && *wallet);
    EXPECT_EQ((*wallet)->available, balance(account_));
    books_.reset();
  }

  Account account_;
  std::string data_;
};

TEST_F(PageDamage, NoPageTakesMoneyWithIt) {
  prepare();
  ASSERT_FALSE(HasFailure());
  std::vector<std::size_t> pages;
  for (std::size_t page = 0; page * kPage < data_.size(); ++page) {
    if (page < 2 || data_.substr(page * kPage, kPage).find_first_not_of('\0') != std::string::npos)
      pages.push_back(page);
  }
  std::mt19937 dice(20261122);
  std::map<int, int> ends;
  const bool all = std::getenv("SLUICE_ALL_PAGES") != nullptr;
  for (const Damage how : {Damage::zeros, Damage::ones, Damage::bit, Damage::cut}) {
    for (std::size_t i = 0; i < pages.size(); i += all ? 1 : 2) {
      put_back();
      damage(pages[i], how, dice);
      SCOPED_TRACE(std::string(name_of(how)) + " page " + std::to_string(pages[i]));
      const int status = start_once();
      ++ends[status];
      EXPECT_TRUE(status == 0 || status == 3) << "ended with " << status;
      if (status == 0) expect_right();
      if (HasFatalFailure()) return;
    }
  }
  for (const auto& [status, times] : ends) RecordProperty("end_" + std::to_string(status), times);
  for (const auto& [status, times] : ends) std::printf("end %d: %d times\n", status, times);
  EXPECT_GT(ends[0], 0);
}

}  // namespace
}  // namespace sluice::reconcile
