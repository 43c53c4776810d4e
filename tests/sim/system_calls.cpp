// System calls, seen from below. The program's own pwrite64() (which is pwrite() where files are
// large, as here) and so on come before the C library's, for SQLite, which is a shared library, and
// for what is linked into the program. In an actor each can fail; writes at a place and syncs,
// which only SQLite does often, are crash points too, and the disk can be full from the n-th write
// on.
// The checked variants in the C library's headers are bodies of the very functions that are
// defined here.
#undef _FORTIFY_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdio>

#include "actor.hpp"

namespace {

bool refused(int error) {
  if (!sluice::sim::fails(sluice::sim::Inject::system_call)) return false;
  errno = error;
  return true;
}

/// Waiting for a lock may be answered with an error, giving one back may not.
bool takes_lock(int command) {
  return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
         command == F_OFD_SETLKW;
}

bool gives_lock_back(const void* argument) {
  return static_cast<const flock*>(argument)->l_type == F_UNLCK;
}

}  // namespace

#define SLUICE_OVER __attribute__((visibility("default"), used))

extern "C" {

SLUICE_OVER ssize_t pwrite64(int fd, const void* bytes, std::size_t count, off64_t offset) {
  sluice::sim::before_write();
  if (sluice::sim::disk_is_full() || sluice::sim::fails(sluice::sim::Inject::system_call)) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

SLUICE_OVER int fdatasync(int fd) {
  sluice::sim::before_write();
  if (refused(EIO)) return -1;
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

SLUICE_OVER ssize_t pread64(int fd, void* bytes, std::size_t count, off64_t offset) {
  if (refused(EIO)) return -1;
  return syscall(SYS_pread64, fd, bytes, count, offset);
}

SLUICE_OVER int ftruncate64(int fd, off64_t bytes) {
  if (refused(EIO)) return -1;
  return static_cast<int>(syscall(SYS_ftruncate, fd, bytes));
}

SLUICE_OVER int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const auto mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, unsigned) : 0U;
  va_end(more);
  if (refused(EMFILE)) return -1;
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

SLUICE_OVER int fcntl64(int fd, int command, ...) {
  va_list more;
  va_start(more, command);
  void* const argument = va_arg(more, void*);
  va_end(more);
  if (takes_lock(command) && !gives_lock_back(argument) && refused(ENOLCK)) return -1;
  return static_cast<int>(syscall(SYS_fcntl, fd, command, argument));
}

// ---- of what is linked into the program, and not above

void* __real_mmap64(void* at, std::size_t bytes, int access, int flags, int fd, off64_t offset);
int __real_posix_fallocate64(int fd, off64_t offset, off64_t bytes);
int __real_rename(const char* from, const char* to);
int __real_symlink(const char* to, const char* at);
int __real_mkdir(const char* path, mode_t mode);
ssize_t __real_write(int fd, const void* bytes, std::size_t count);

SLUICE_OVER void* __wrap_mmap64(void* at, std::size_t bytes, int access, int flags, int fd,
                                off64_t offset) {
  return refused(ENOMEM) ? MAP_FAILED : __real_mmap64(at, bytes, access, flags, fd, offset);
}

SLUICE_OVER int __wrap_posix_fallocate64(int fd, off64_t offset, off64_t bytes) {
  return refused(ENOSPC) ? ENOSPC : __real_posix_fallocate64(fd, offset, bytes);
}

SLUICE_OVER int __wrap_rename(const char* from, const char* to) {
  return refused(EIO) ? -1 : __real_rename(from, to);
}

SLUICE_OVER int __wrap_symlink(const char* to, const char* at) {
  return refused(ENOSPC) ? -1 : __real_symlink(to, at);
}

SLUICE_OVER int __wrap_mkdir(const char* path, mode_t mode) {
  return refused(ENOSPC) ? -1 : __real_mkdir(path, mode);
}

SLUICE_OVER ssize_t __wrap_write(int fd, const void* bytes, std::size_t count) {
  return refused(ENOSPC) ? -1 : __real_write(fd, bytes, count);
}
}
