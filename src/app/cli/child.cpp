#include "child.hpp"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "sluice/base/clock.hpp"

extern char** environ;

namespace sluice::cli {
namespace {

constexpr TimeNs kFirstBackOff = 200 * kMillisecond;
constexpr TimeNs kLongestBackOff = 5 * kSecond;
constexpr TimeNs kHealthy = 30 * kSecond;

}  // namespace

control::Outcome<> Child::start() {
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> arguments;
  for (std::string& part : command_) arguments.push_back(part.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, command_[0].c_str(), nullptr, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return control::problem(
        Errc::io, fmt::format("{}: cannot be started: {}", command_[0], std::strerror(error)));
  }
  pid_ = pid;
  started_ns_ = system_clock().monotonic_ns();
  return {};
}

void Child::ended(int status) {
  const TimeNs now_ns = system_clock().monotonic_ns();
  pid_ = -1;
  last_end_ = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                  : fmt::format("exit status {}", WEXITSTATUS(status));
  if (now_ns - started_ns_ > kHealthy) back_off_ns_ = kFirstBackOff;
  restart_at_ns_ = now_ns + back_off_ns_;
  back_off_ns_ = std::min(back_off_ns_ * 2, kLongestBackOff);
}

void Child::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

}  // namespace sluice::cli
