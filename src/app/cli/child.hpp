// A child process that `sluice up` keeps running.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "sluice/base/units.hpp"
#include "sluice/control/problem.hpp"

namespace sluice::cli {

class Child {
 public:
  Child(std::string name, std::vector<std::string> command)
      : name_(std::move(name)), command_(std::move(command)) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// posix_spawn in a process group of its own, so that Ctrl-C reaches `sluice up` alone, which
  /// stops its children in order.
  [[nodiscard]] control::Outcome<> start();
  /// Notes that it ended (waitpid); `status` as waitpid gives it.
  void ended(int status);
  /// Sends a signal when it runs.
  void signal(int number) const;

  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// When it may be started again (monotonic): 200 ms after it died, doubling to 5 s when it dies
  /// again soon.
  [[nodiscard]] TimeNs restart_at_ns() const { return restart_at_ns_; }
  /// "exit status 1" or "signal 9".
  [[nodiscard]] const std::string& last_end() const { return last_end_; }

 private:
  std::string name_;
  std::vector<std::string> command_;
  pid_t pid_ = -1;
  TimeNs started_ns_ = 0;
  TimeNs restart_at_ns_ = 0;
  TimeNs back_off_ns_ = 200 * kMillisecond;
  std::string last_end_;
};

}  // namespace sluice::cli
