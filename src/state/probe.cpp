// Reading all of an environment in a process that may die of it.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <new>

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

/// Every byte of every row, so that every page is touched.
int walk(MDB_txn* txn, MDB_dbi table) {
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(txn, table, &cursor); rc != 0) return finding_of(rc);
  MDB_val key;
  MDB_val value;
  int rc = 0;
  while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
    for (const MDB_val& part : {key, value}) {
      const volatile auto* bytes = static_cast<const unsigned char*>(part.mv_data);
      for (std::size_t i = 0; i < part.mv_size; ++i) static_cast<void>(bytes[i]);
    }
  }
  mdb_cursor_close(cursor);
  return rc == MDB_NOTFOUND ? kSound : finding_of(rc);
}

int read_all(const std::string& directory, const std::string& epoch_directory) {
  std::string message;
  const auto impl = open_epoch(directory, epoch_directory, message);
  // One that cannot be opened, or is no environment at all, is told by check_warm().
  if (!impl) return kSound;
  LmdbEnv::Read read((*impl)->lmdb);
  if (read.status() != 0) return finding_of(read.status());
  constexpr MDB_dbi kFreeList = 0;
  if (const int found = walk(read.txn(), kFreeList); found != kSound) return found;
  for (const MDB_dbi table : (*impl)->lmdb.tables()) {
    if (const int found = walk(read.txn(), table); found != kSound) return found;
  }
  return kSound;
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
