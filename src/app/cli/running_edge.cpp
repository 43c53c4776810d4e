#include "running_edge.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::cli {
namespace {

using control::problem;

constexpr TimeNs kRefreshMost = 10 * kSecond;
constexpr useconds_t kPollUs = 5'000;

/// The supervisor, by the lock that it holds; 0 = none runs, or one that we may not see.
pid_t supervisor_of(const std::string& state_directory) {
  const int fd =
      ::open((state_directory + "/" + state::kEdgeLockFile).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  std::array<char, 24> text{};
  pid_t pid = 0;
  if (::flock(fd, LOCK_SH | LOCK_NB) != 0 && ::pread(fd, text.data(), text.size() - 1, 0) > 0) {
    pid = static_cast<pid_t>(std::strtol(text.data(), nullptr, 10));
  }
  ::close(fd);
  return std::max(pid, 0);
}

std::unique_ptr<state::Boards> boards_of(const std::string& state_directory) {
  std::string message;
  auto boards = state::Boards::attach(state_directory + "/current", message);
  return boards ? std::move(*boards) : nullptr;
}

/// How often the shard in each slot has read its files; nothing where none serves.
std::vector<std::optional<std::uint32_t>> reads_of(state::Boards& boards) {
  std::vector<std::optional<std::uint32_t>> reads;
  const TimeNs now_ns = system_clock().monotonic_ns();
  for (const state::ShardBlock& shard : boards.shards()) {
    reads.emplace_back();
    if (shard.serves(now_ns)) reads.back() = shard.files_read.load(std::memory_order_acquire);
  }
  return reads;
}

}  // namespace

control::Outcome<> refresh_edge(const std::string& state_directory) {
  const pid_t pid = supervisor_of(state_directory);
  const auto boards = boards_of(state_directory);
  if (pid == 0 || boards == nullptr) return {};
  const auto before = reads_of(*boards);
  if (::kill(pid, SIGHUP) != 0) {
    return problem(Errc::forbidden,
                   fmt::format("the edge (process {}) may not be told by this user to read it: "
                               "systemctl reload sluice-edge",
                               pid));
  }
  const TimeNs until_ns = system_clock().monotonic_ns() + kRefreshMost;
  for (;;) {
    const auto now = reads_of(*boards);
    std::size_t waiting = 0;
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (before[i] && now[i] && *now[i] == *before[i]) ++waiting;
    }
    if (waiting == 0) return {};
    if (system_clock().monotonic_ns() > until_ns) {
      return problem(Errc::timed_out,
                     fmt::format("{} shards have not read it: look at the edge's log", waiting));
    }
    ::usleep(kPollUs);
  }
}

bool edge_knows_pepper(const std::string& state_directory, std::uint32_t version) {
  const auto boards = boards_of(state_directory);
  if (boards == nullptr) return true;
  const TimeNs now_ns = system_clock().monotonic_ns();
  return std::ranges::all_of(boards->shards(), [&](const state::ShardBlock& shard) {
    return !shard.serves(now_ns) || shard.pepper_version.load(std::memory_order_acquire) >= version;
  });
}

}  // namespace sluice::cli
