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
  std::string user;                    ///< to become when the listeners are open; empty = stay
  std::uint32_t shards = 1;
  std::string state_directory;
  TimeNs drain_ns = 30 * kSecond;
  /// The program with its configuration: started with --shard N --generation N --control FD
  /// --listening FD,FD as a shard, with --take-over TEXT to take over, and with --check beside it
  /// to ask whether it could.
  std::vector<std::string> command;
  std::string take_over;  ///< what the supervisor before it left; empty = a fresh start
};

/// Whether the listeners that the supervisor of `take_over` does not hold can be opened. Why not is
/// one line on stderr.
[[nodiscard]] bool check_listeners(const SupervisorOptions& options);

/// Runs until SIGTERM or SIGINT and the drain after it. Returns the exit status; problems at start
/// (used port, bad address) are one line on stderr. A port in use is waited for, 6 s at most.
///
/// SIGHUP has the shards read certificates and secrets anew; connections go on with what they began
/// with.
///
/// SIGUSR2 replaces program and configuration (row 19 of state-machine.md): `command` is executed
/// under the same process id, keeps the sockets, starts its own shards beside the old ones and,
/// when all of them serve, asks the old ones to finish. If the new program refuses its
/// configuration, nothing changes.
[[nodiscard]] int run_supervisor(const SupervisorOptions& options);

}  // namespace sluice::edge
