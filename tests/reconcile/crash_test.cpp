// kill -9 at every commit and rename of a whole life: start, publish, serve, drain. Afterwards a
// new process finds nothing lost and nothing twice.
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "node.hpp"
#include "sluice/state/inspect.hpp"

extern char** environ;

namespace sluice::reconcile {
namespace {

constexpr int kRequests = 3;
constexpr Nanos kCost = 300;

}  // namespace

/// The child: argv is --child STATE DISK.
int crash_child(const char* state_directory, const char* disk) {
  Options options;
  options.state_directory = state_directory;
  options.map_bytes = 4 * kMiB;
  options.meter_entries = 16;
  options.slots = 2;
  options.database = std::string(disk) + "/ledger.db";
  options.lookup = [](const std::string&) -> Result<std::vector<IpAddress>> {
    return fail(Errc::not_found);
  };
  std::string message;
  ManualClock clock;
  auto reconciler = Reconciler::start(options, clock, message);
  if (!reconciler) {
    std::fprintf(stderr, "%s\n", message.c_str());
    return 3;
  }
  ledger::Ledger& books = (*reconciler)->ledger();
  if (!books.money().credit(1, kNanosPerUsd, ledger::House::funding_credit, "")) return 4;
  PlayedShard shard((*reconciler)->environment(), options.state_directory, 0);
  for (int i = 0; i < kRequests; ++i) {
    shard.request(1, 1, 1000, kCost);
    clock.advance(60 * kMillisecond);
    if (!(*reconciler)->step()) return 5;
  }
  return (*reconciler)->drain_all(kSecond) ? 0 : 6;
}

namespace {

int run_child(const std::string& state_directory, const std::string& disk, unsigned crash_at) {
  std::vector<std::string> variables;
  for (char** each = environ; *each != nullptr; ++each) variables.emplace_back(*each);
  variables.push_back("SLUICE_CRASH_AT=" + std::to_string(crash_at));
  std::vector<char*> environment;
  for (std::string& each : variables) environment.push_back(each.data());
  environment.push_back(nullptr);
  std::string program = "/proc/self/exe", flag = "--child", state_copy = state_directory,
              disk_copy = disk;
  char* arguments[] = {program.data(), flag.data(), state_copy.data(), disk_copy.data(), nullptr};
  pid_t pid = 0;
  if (posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environment.data()) != 0)
    return -1;
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

class CrashTest : public Node {
 protected:
  void prepare() {
    options_.map_bytes = 4 * kMiB;
    options_.meter_entries = 16;
    options_.slots = 2;
    options_.records_directory.clear();
    account_ = add_account("acme", kNanosPerUsd);
  }
  /// After the next start everything adds up.
  void expect_exact(unsigned crash_at) {
    start();
    ASSERT_NE(reconciler_, nullptr);
    EXPECT_NE(reconciler_->origin(), Origin::salvaged) << "crash point " << crash_at;
    ASSERT_TRUE(reconciler_->drain_all(kSecond));
    settle_down();
    const state::WalletRecord wallet = live(account_);
    EXPECT_EQ(wallet.held, 0) << "crash point " << crash_at;
    EXPECT_EQ(wallet.available, balance(account_)) << "crash point " << crash_at;
    std::map<std::pair<std::uint64_t, std::uint32_t>, std::uint64_t> last;
    Nanos charged = 0;
    auto rows = usage();
    std::ranges::reverse(rows);
    for (const ledger::StoredUsage& row : rows) {
      EXPECT_EQ(row.row.seq, ++last[std::pair(row.epoch, row.row.slot)])
          << "crash point " << crash_at;
      charged += row.row.charged;
    }
    Nanos credits = 0;
    for (const ledger::Entry& entry : *books_->money().history(account_.wallet.id, 1000)) {
      if (entry.kind == ledger::EntryKind::credit) credits += entry.amount;
    }
    EXPECT_EQ(balance(account_), credits - charged) << "crash point " << crash_at;
    EXPECT_LE(charged, kRequests * kCost);
  }
  Account account_;
};

TEST_F(CrashTest, NothingIsLostOrTwiceWhereverTheProcessDies) {
  prepare();
  bool finished = false;
  unsigned crash_at = 1;
  for (; !finished && crash_at < 500; ++crash_at) {
    TemporaryDirectory state("/dev/shm");
    TemporaryDirectory disk(disk_.path());
    std::filesystem::create_directories(disk.path());
    // Each run begins with a copy of the prepared ledger.
    ASSERT_TRUE(books_->backup_to(disk.path() + "/ledger.db"));
    const int status = run_child(state.path(), disk.path(), crash_at);
    ASSERT_TRUE(status == 0 || status == 128 + SIGKILL)
        << "crash point " << crash_at << ": exit " << status;
    finished = status == 0;
    options_.state_directory = state.path();
    options_.database = disk.path() + "/ledger.db";
    std::string message;
    auto opened =
        ledger::Ledger::open(options_.database, ledger::Access::read_write, clock_, message);
    ASSERT_TRUE(opened) << message;
    auto prepared = std::exchange(books_, std::move(*opened));
    expect_exact(crash_at);
    if (finished) EXPECT_EQ(usage().size(), static_cast<std::size_t>(kRequests));
    reconciler_.reset();
    books_ = std::move(prepared);
    if (HasFailure()) break;
  }
  EXPECT_TRUE(finished);
  EXPECT_GT(crash_at, 30U) << "fewer crash points than there are commits";
}

}  // namespace
}  // namespace sluice::reconcile
