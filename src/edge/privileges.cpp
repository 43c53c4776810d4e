#include "privileges.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::edge {

bool become(const std::string& user, std::string& message) {
  errno = 0;
  const passwd* const entry = getpwnam(user.c_str());
  if (entry == nullptr) {
    message = "there is no user " + user;
    return false;
  }
  if (geteuid() == entry->pw_uid) return true;
  // In this order: each step needs what the next one gives up.
  if (initgroups(user.c_str(), entry->pw_gid) != 0 ||
      setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0 ||
      setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) != 0) {
    message = "cannot become user " + user + ": " + std::strerror(errno);
    return false;
  }
  if (setresuid(0, 0, 0) == 0) {
    message = "user " + user + " can become root again";
    return false;
  }
  return true;
}

void shut_in() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  // Should root dump it all the same (gcore), no memory goes into the file: core(5). Only a process
  // that may be dumped still may write this; what it starts inherits it.
  if (const int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC); fd >= 0) {
    static_cast<void>(write(fd, "0", 1));
    close(fd);
  }
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

}  // namespace sluice::edge
