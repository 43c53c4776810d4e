// SQLite's writes, seen from below: the program's own pwrite64() (which is pwrite() where
// files are large, as here) and fdatasync() come before the C library's. In an actor each is a
// crash point, and the disk can be full from the n-th on.
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "actor.hpp"

extern "C" {

__attribute__((visibility("default"), used)) ssize_t pwrite64(int fd, const void* bytes,
                                                              std::size_t count, off64_t offset) {
  sluice::sim::before_write();
  if (sluice::sim::disk_is_full()) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

__attribute__((visibility("default"), used)) int fdatasync(int fd) {
  sluice::sim::before_write();
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}
}
