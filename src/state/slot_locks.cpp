// The file locks: slots and the reconciler's.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "sluice/state/slots.hpp"

namespace sluice::state {
namespace {

std::string slots_path(const std::string& directory) { return directory + "/slots.lock"; }

struct flock range(short type, off_t start, off_t bytes) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = bytes;
  return lock;
}

Result<int> open_lock_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0660);
  if (fd < 0) return fail(Errc::io, Source::self, Retry::no, errno);
  return fd;
}

/// Takes a write lock without waiting. Errors: conflict, io.
Result<> lock_range(int fd, off_t start, off_t bytes) {
  struct flock lock = range(F_WRLCK, start, bytes);
  // An open-file-description lock: it belongs to this descriptor, not to whichever one of the
  // process is closed first, and so does not vanish when another part of the program opens the
  // file.
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return {};
  if (errno == EAGAIN || errno == EACCES) return fail(Errc::conflict);
  return fail(Errc::io, Source::self, Retry::no, errno);
}

Result<bool> range_is_locked(const std::string& path, off_t start, off_t bytes) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return false;
    return fail(Errc::io, Source::self, Retry::no, errno);
  }
  struct flock lock = range(F_WRLCK, start, bytes);
  const int rc = fcntl(fd, F_OFD_GETLK, &lock);
  const int error = errno;
  close(fd);
  if (rc != 0) return fail(Errc::io, Source::self, Retry::no, error);
  return lock.l_type != F_UNLCK;
}

}  // namespace

Result<SlotLock> SlotLock::acquire(const std::string& directory, SlotId slot) {
  if (slot >= kMaxSlots) return fail(Errc::bad_value);
  const Result<int> fd = open_lock_file(slots_path(directory));
  if (!fd) return std::unexpected(fd.error());
  if (const Result<> locked = lock_range(*fd, static_cast<off_t>(slot), 1); !locked) {
    close(*fd);
    return std::unexpected(locked.error());
  }
  return SlotLock(*fd, slot);
}

Result<SlotLock> SlotLock::acquire_any(const std::string& directory, std::uint32_t slots) {
  for (SlotId slot = 0; slot < slots; ++slot) {
    Result<SlotLock> lock = acquire(directory, slot);
    if (lock || lock.error().code != Errc::conflict) return lock;
  }
  return fail(Errc::full);
}

SlotLock::SlotLock(SlotLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), slot_(other.slot_) {}

SlotLock& SlotLock::operator=(SlotLock&& other) noexcept {
  if (this != &other) {
    release();
    fd_ = std::exchange(other.fd_, -1);
    slot_ = other.slot_;
  }
  return *this;
}

SlotLock::~SlotLock() { release(); }

void SlotLock::release() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

Result<AllSlots> AllSlots::acquire(const std::string& directory) {
  const Result<int> fd = open_lock_file(slots_path(directory));
  if (!fd) return std::unexpected(fd.error());
  if (const Result<> locked = lock_range(*fd, 0, static_cast<off_t>(kMaxSlots)); !locked) {
    close(*fd);
    return std::unexpected(locked.error());
  }
  return AllSlots(*fd);
}

AllSlots::AllSlots(AllSlots&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

AllSlots& AllSlots::operator=(AllSlots&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

AllSlots::~AllSlots() {
  if (fd_ >= 0) close(fd_);
}

Result<bool> slot_is_locked(const std::string& directory, SlotId slot) {
  return range_is_locked(slots_path(directory), static_cast<off_t>(slot), 1);
}

Result<bool> any_slot_locked(const std::string& directory) {
  return range_is_locked(slots_path(directory), 0, static_cast<off_t>(kMaxSlots));
}

Result<EnvironmentLock> EnvironmentLock::acquire(const std::string& directory) {
  const Result<int> fd = open_lock_file(directory + "/env.lock");
  if (!fd) return std::unexpected(fd.error());
  if (const Result<> locked = lock_range(*fd, 0, 1); !locked) {
    close(*fd);
    return std::unexpected(locked.error());
  }
  return EnvironmentLock(*fd);
}

EnvironmentLock::EnvironmentLock(EnvironmentLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

EnvironmentLock& EnvironmentLock::operator=(EnvironmentLock&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

EnvironmentLock::~EnvironmentLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace sluice::state
