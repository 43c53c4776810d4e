// One edge a state directory: shards accept by the least connections on the board, so those of two
// edges, which have other ports, would keep each other from accepting.
#pragma once

#include <string>

namespace sluice::edge {

/// The lock is on a file, which also says whom to signal. It outlives an exec with its descriptor
/// (handover.hpp). Owner and thread: the supervisor's.
class StateLock {
 public:
  StateLock() = default;
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;
  ~StateLock();

  /// False when another edge has it: one line in the log. True as well while there is no directory
  /// yet: the reconciler makes it, and then this is asked again. Does not wait.
  [[nodiscard]] bool hold(const std::string& state_directory);
  /// Takes the descriptor of the program before this one, which holds the lock.
  void adopt(int fd) noexcept { fd_ = fd; }
  /// -1 while it is not held.
  [[nodiscard]] int descriptor() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace sluice::edge
