// Readers of LMDB that do not go away: one that stands in its transaction while others write (M07),
// and so many that there is no place for another (M08).
#include <lmdb.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "scratch.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/state/gate.hpp"
#include "sluice/state/slots.hpp"
#include "sluice/state/verb_queue.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::state {
namespace {

/// Another process that has the environment open by LMDB itself and begins read transactions until
/// it has `most` of them or is refused; then it stands still. Made before this process opens
/// anything.
class OtherReader {
 public:
  explicit OtherReader(int most) {
    EXPECT_EQ(pipe(begin_), 0);
    EXPECT_EQ(pipe(ready_), 0);
    pid_ = fork();
    if (pid_ == 0) stand(most);
    close(begin_[0]);
    close(ready_[1]);
  }
  ~OtherReader() {
    end();
    close(begin_[1]);
    close(ready_[0]);
  }
  OtherReader(const OtherReader&) = delete;
  OtherReader& operator=(const OtherReader&) = delete;

  /// Returns how many transactions it has.
  int read(const std::string& epoch_directory) {
    const std::string line = epoch_directory + '\0';
    EXPECT_EQ(write(begin_[1], line.data(), line.size()), static_cast<ssize_t>(line.size()));
    int got = -1;
    EXPECT_EQ(::read(ready_[0], &got, sizeof got), static_cast<ssize_t>(sizeof got));
    kill(pid_, SIGSTOP);
    return got;
  }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  [[noreturn]] void stand(int most) {
    std::string path;
    for (char c = 0; ::read(begin_[0], &c, 1) == 1 && c != 0;) path += c;
    MDB_env* env = nullptr;
    int got = 0;
    if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 16) != 0 ||
        mdb_env_open(env, path.c_str(), MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS, 0660) != 0)
      got = -2;
    for (MDB_txn* txn = nullptr;
         got >= 0 && got < most && mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) == 0;)
      ++got;
    if (write(ready_[1], &got, sizeof got) != sizeof got) _exit(1);
    for (;;) pause();
  }

  pid_t pid_ = -1;
  int begin_[2] = {-1, -1};
  int ready_[2] = {-1, -1};
};

class Readers : public testing::Test {
 protected:
  void build(std::uint64_t map_bytes) {
    BuildOptions options = build_options(scratch_.path(), 3);
    options.map_bytes = map_bytes;
    environment_ = build_and_open(options, 4, 1'000'000'000);
    ASSERT_NE(environment_, nullptr);
    auto slot = SlotLock::acquire(scratch_.path(), 0);
    ASSERT_TRUE(slot);
    slot_.emplace(std::move(*slot));
    queue_ = std::make_unique<VerbQueue>(*environment_, *slot_);
  }

  template <class Verb>
  Outcome run(const Verb& verb) {
    PendingVerb pending;
    pending.verb = verb;
    pending.done = [](PendingVerb&) noexcept {};
    queue_->submit(pending, system_clock().monotonic_ns());
    EXPECT_TRUE(queue_->drain(10 * kSecond));
    EXPECT_EQ(pending.error.code, Errc::none);
    return pending.outcome;
  }
  Outcome reserve() {
    ReserveVerb verb;
    verb.wallet_id = verb.key_id = 1;
    verb.amount = 10;
    verb.key_windows = verb.wallet_windows = {20'833, 24'324};
    verb.deadline_ns = INT64_MAX / 2;
    verb.now_ns = kSecond;
    return run(verb);
  }
  Outcome settle(const HoldId& hold) {
    ++settled_;
    return run(SettleVerb{hold, price::split(3, 3, 0), &record_});
  }

  ScratchDirectory scratch_;
  std::unique_ptr<Environment> environment_;
  std::optional<SlotLock> slot_;
  std::unique_ptr<VerbQueue> queue_;
  OutboxRecord record_;
  Nanos settled_ = 0;
};

class DrainedRows : public Readers {};

TEST_F(DrainedRows, AreDeletedWithoutKeepingShardsFromTheGate) {
  build(64 * kMiB);
  for (int i = 0; i < 3200; ++i) settle(reserve().hold);
  std::atomic<bool> deleted{false};
  std::atomic<int> entered{0};
  std::thread shard([&] {
    Gate& gate = environment_->boards().gate();
    while (!deleted) {
      if (gate.enter(1, kSecond) == Gate::Entry::busy) continue;
      gate.leave();
      ++entered;
    }
  });
  Writer writer(*environment_);
  EXPECT_EQ(writer.delete_drained(0, 3200).value_or(0), 3200U);
  deleted = true;
  shard.join();
  EXPECT_GE(entered, 25) << "50 transactions";
}

TEST_F(Readers, OneThatStandsStillStopsAdmissionAndNothingElse) {
  OtherReader reader(1);
  // The map is looked at every 100 ms: its last third holds what a fast machine writes meanwhile.
  build(8 * kMiB);
  std::vector<HoldId> open;
  for (int i = 0; i < 100; ++i) open.push_back(reserve().hold);
  ASSERT_EQ(reader.read(environment_->epoch_directory()), 1);

  // Requests that are drained at once need no room, but for the pages that the reader keeps.
  Writer writer(*environment_);
  Outcome outcome = reserve();
  int verbs = 0;
  for (; outcome.verdict == Verdict::done && verbs < 20'000; ++verbs) {
    settle(outcome.hold);
    ASSERT_TRUE(writer.delete_drained(0, static_cast<std::uint64_t>(settled_)));
    outcome = reserve();
  }
  EXPECT_EQ(outcome.verdict, Verdict::refused);
  EXPECT_EQ(outcome.limit, Limit::map_full) << "after " << verbs;
  const auto use = environment_->map_use();
  ASSERT_TRUE(use);
  EXPECT_GT(use->oldest_reader_lag, 0U) << "what the alarm is about";
  EXPECT_GT(use->free_pages(), use->map_pages / 10) << "what is left is for those who end";

  // Those who end take the rest, and then they wait, as nobody can write any more.
  std::vector<std::unique_ptr<PendingVerb>> ends;
  for (const HoldId& hold : open) {
    ends.push_back(std::make_unique<PendingVerb>());
    ends.back()->verb = SettleVerb{hold, price::split(3, 3, 0), &record_};
    ends.back()->done = [](PendingVerb&) noexcept {};
    queue_->submit(*ends.back(), system_clock().monotonic_ns());
    static_cast<void>(queue_->drain(5 * kMillisecond));
  }
  settled_ += static_cast<Nanos>(ends.size());
  reader.end();
  EXPECT_EQ(environment_->check_readers().value_or(0), 1);
  ASSERT_TRUE(queue_->drain(10 * kSecond));
  for (const auto& end : ends) {
    EXPECT_EQ(end->error.code, Errc::none);
    EXPECT_EQ(end->outcome.verdict, Verdict::done);
  }
  EXPECT_EQ(environment_->find_wallet(1).value()->held, 0);
  EXPECT_EQ(environment_->find_wallet(1).value()->charged, 3 * settled_);
  ASSERT_TRUE(writer.delete_drained(0, static_cast<std::uint64_t>(settled_)));
  std::this_thread::sleep_for(std::chrono::milliseconds(110));  // the store looks again
  outcome = reserve();
  const auto room = environment_->map_use();
  EXPECT_EQ(outcome.verdict, Verdict::done)
      << to_string(outcome.limit) << ", free " << room->free_pages() << " of " << room->map_pages;
}

TEST_F(Readers, WhenThereIsNoPlaceForOneMoreTheOthersGoOn) {
  OtherReader reader(10'000);
  build(4 * kMiB);
  const int taken = reader.read(environment_->epoch_directory());
  EXPECT_GT(taken, 126);
  EXPECT_LT(taken, 10'000);
  EXPECT_EQ(in_child([&] {
              std::string message;
              const auto opened = open({.directory = scratch_.path()}, message);
              if (opened) return 1;
              return opened.error().code == Errc::full && !message.empty() ? 0 : 2;
            }),
            0)
      << "no place is an error with a line";
  const Outcome outcome = reserve();
  EXPECT_EQ(outcome.verdict, Verdict::done) << "who has a place keeps it";
  EXPECT_EQ(settle(outcome.hold).verdict, Verdict::done);
  reader.end();
  EXPECT_EQ(environment_->check_readers().value_or(0), taken);
  EXPECT_EQ(in_child([&] {
              std::string message;
              return open({.directory = scratch_.path()}, message) ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace sluice::state
