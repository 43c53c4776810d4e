#include "state_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sluice/base/log.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::edge {

StateLock::~StateLock() {
  if (fd_ >= 0) close(fd_);
}

bool StateLock::hold(const std::string& state_directory) {
  if (fd_ >= 0) return true;
  const std::string path = state_directory + "/" + state::kEdgeLockFile;
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0660);
  if (fd < 0) return true;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    log_line(LogLevel::error, "edge", "another sluice-edge is at work in " + state_directory);
    return false;
  }
  fd_ = fd;
  const std::string pid = std::to_string(getpid()) + "\n";  // for who wants to signal us
  const bool told = ftruncate(fd, 0) == 0 &&
                    pwrite(fd, pid.data(), pid.size(), 0) == static_cast<ssize_t>(pid.size());
  if (!told) log_line(LogLevel::error, "edge", path + ": " + std::strerror(errno));
  return true;
}

}  // namespace sluice::edge
