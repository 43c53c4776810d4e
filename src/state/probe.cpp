// Reading all of an environment in a process that may die of it.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <new>
#include <vector>

#include "environment_impl.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/state/build.hpp"

namespace sluice::state {
namespace {

constexpr TimeNs kLongestNs = 60 * kSecond;  // pages that lead in a circle have no end

enum Finding : int { kSound, kDamaged, kNotNow };

int finding_of(int rc) {
  const Errc code = lmdb_error(rc).code;
  return code == Errc::io || code == Errc::full ? kNotNow : kDamaged;
}

/// The pages on which rows stand, and those that the free list gives away: one that is both would
/// be written over. (Branch pages are not to be seen from here.)
class Pages {
 public:
  explicit Pages(MDB_env* env) {
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &stat) != 0) return;
    page_bytes_ = stat.ms_psize;
    used_.resize(info.me_last_pgno + 1);
    free_.resize(used_.size());
  }

  void use(const MDB_val& part) {
    if (part.mv_size == 0) return;
    // A page begins with its number (mdb.c, MDB_page), a long value has pages of its own.
    const auto address = reinterpret_cast<std::uintptr_t>(part.mv_data);
    const std::uintptr_t inside = address % page_bytes_;
    std::uint64_t number = 0;
    std::memcpy(&number, reinterpret_cast<const void*>(address - inside), sizeof number);
    const std::uint64_t pages = (inside + part.mv_size + page_bytes_ - 1) / page_bytes_;
    for (std::uint64_t i = 0; i < pages; ++i) {
      if (number + i < used_.size()) used_[number + i] = true;
    }
  }

  /// A row of the free list: how many, and their numbers, falling. False when it is no such list.
  [[nodiscard]] bool give_away(const MDB_val& list) {
    std::vector<std::uint64_t> numbers(list.mv_size / sizeof(std::uint64_t));
    std::memcpy(numbers.data(), list.mv_data, numbers.size() * sizeof(std::uint64_t));
    if (numbers.empty() || numbers.front() >= numbers.size()) return false;
    constexpr std::uint64_t kMetaPages = 2;
    std::uint64_t above = free_.size();
    for (std::uint64_t i = 1; i <= numbers.front(); ++i) {
      if (numbers[i] >= above || numbers[i] < kMetaPages || free_[numbers[i]]) return false;
      above = numbers[i];
      free_[above] = true;
    }
    return true;
  }

  [[nodiscard]] bool disjoint() const {
    for (std::size_t i = 0; i < used_.size(); ++i) {
      if (used_[i] && free_[i]) return false;
    }
    return true;
  }

 private:
  std::uint64_t page_bytes_ = 4096;
  std::vector<bool> used_;
  std::vector<bool> free_;
};

constexpr MDB_dbi kFreeList = 0;
constexpr MDB_dbi kTableOfTables = 1;

/// Every byte of every row, so that every page is touched; rows that are not in the order of their
/// keys cannot be found, and what is put or deleted among them ends up anywhere.
int walk(MDB_txn* txn, MDB_dbi table, Pages& pages) {
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(txn, table, &cursor); rc != 0) return finding_of(rc);
  MDB_val key;
  MDB_val value;
  MDB_val before{};
  int rc = 0;
  bool sound = true;
  while (sound && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
    for (const MDB_val& part : {key, value}) {
      const volatile auto* bytes = static_cast<const unsigned char*>(part.mv_data);
      for (std::size_t i = 0; i < part.mv_size; ++i) static_cast<void>(bytes[i]);
      pages.use(part);
    }
    sound = (before.mv_data == nullptr || mdb_cmp(txn, table, &before, &key) < 0) &&
            (table != kFreeList || pages.give_away(value));
    before = key;
  }
  mdb_cursor_close(cursor);
  if (!sound) return kDamaged;
  return rc == MDB_NOTFOUND ? kSound : finding_of(rc);
}

int read_all(const std::string& directory, const std::string& epoch_directory) {
  std::string message;
  const auto impl = open_epoch(directory, epoch_directory, message);
  // One that cannot be opened, or is no environment at all, is told by check_warm().
  if (!impl) return kSound;
  LmdbEnv::Read read((*impl)->lmdb);
  if (read.status() != 0) return finding_of(read.status());
  Pages pages((*impl)->lmdb.env());
  for (const MDB_dbi table : {kFreeList, kTableOfTables}) {
    if (const int found = walk(read.txn(), table, pages); found != kSound) return found;
  }
  for (const MDB_dbi table : (*impl)->lmdb.tables()) {
    if (const int found = walk(read.txn(), table, pages); found != kSound) return found;
  }
  return pages.disjoint() ? kSound : kDamaged;
}

[[noreturn]] void probe_and_exit(const std::string& directory, const std::string& epoch_directory,
                                 pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kNotNow);
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT}) std::signal(signal, SIG_DFL);
  try {
    _exit(read_all(directory, epoch_directory));
  } catch (const std::bad_alloc&) {
    _exit(kNotNow);
  }
}

/// -1 when it had to be ended.
int wait_for(pid_t child) {
  const TimeNs until_ns = system_clock().monotonic_ns() + kLongestNs;
  int status = 0;
  for (;;) {
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) return status;
    if (ended < 0 && errno != EINTR) return W_EXITCODE(kNotNow, 0);
    if (system_clock().monotonic_ns() >= until_ns) break;
    const timespec pause{0, 200'000};
    nanosleep(&pause, nullptr);
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return -1;
}

}  // namespace

Result<> probe(const std::string& directory) {
  const std::string epoch_directory = current_epoch_directory(directory);
  if (epoch_directory.empty()) return {};
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return fail(Errc::io, Source::self, Retry::no, errno);
  if (child == 0) probe_and_exit(directory, epoch_directory, parent);
  const int status = wait_for(child);
  if (status == -1) return fail(Errc::corrupt);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kSound) return {};
  const bool killed =
      WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;  // by the kernel, for memory
  if (killed || (WIFEXITED(status) && WEXITSTATUS(status) == kNotNow)) return fail(Errc::io);
  return fail(Errc::corrupt);
}

}  // namespace sluice::state
