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
  /// The program with its configuration: started with --shard N --generation N --control FD
  /// --listening FD,FD as a shard, with --check to ask whether it could take over, and with
  /// --take-over TEXT to do so.
  std::vector<std::string> command;
  std::string take_over;  ///< what the supervisor before it left; empty = a fresh start
};

/// Runs until SIGTERM or SIGINT and the drain after it. Returns the exit status; problems at start
/// (used port, bad address) are one line on stderr.
///
/// SIGUSR2 replaces program and configuration (row 19 of state-machine.md): `command` is executed
/// under the same process id, keeps the sockets, starts its own shards beside the old ones and,
/// when all of them serve, asks the old ones to finish. If the new program refuses its
/// configuration, nothing changes.
[[nodiscard]] int run_supervisor(const SupervisorOptions& options);

}  // namespace sluice::edge
