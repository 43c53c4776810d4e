// The edge's parent process: owns the listening sockets, keeps the shards running, answers
// /metrics, /healthz and /readyz from the boards. It never opens LMDB and never touches a request.
#pragma once

#include <string>
#include <vector>

#include "sluice/base/units.hpp"

namespace sluice::edge {

struct SupervisorOptions {
  std::vector<std::string> listeners;  ///< "ADDR:PORT"
  std::string metrics_address;         ///< empty = none
  std::uint32_t shards = 1;
  std::string state_directory;
  TimeNs drain_ns = 30 * kSecond;
  /// Command that starts a shard, but for the options that the supervisor adds:
  /// --shard N --control FD --listening FD,FD
  std::vector<std::string> shard_command;
};

/// Runs until SIGTERM or SIGINT and the drain after it. Returns the exit status; problems at start
/// (used port, bad address) are one line on stderr.
[[nodiscard]] int run_supervisor(const SupervisorOptions& options);

}  // namespace sluice::edge
