// A shard process: one core, one ring. It attaches to the shared state, takes a slot, accepts connections on the
// sockets it inherited and serves them until its supervisor says drain or is gone.
#pragma once

#include <string>
#include <vector>

#include "sluice/base/units.hpp"
#include "sluice/relay/settings.hpp"

namespace sluice::edge {

struct ShardOptions {
  std::uint32_t number = 0;              ///< 0 … shards - 1
  std::vector<int> listening;            ///< inherited descriptors
  std::vector<bool> secure;              ///< per listener: TLS
  int control = -1;                      ///< inherited pipe: 'd' = drain; its end = the supervisor died
  std::string state_directory;
  std::uint64_t generation = 1;          ///< of the edge that started it
  int cpu = -1;                          ///< pin to this core; -1 = not
  TimeNs spin_ns = 0;
  bool profile_6_1 = false;
  std::uint32_t connections_most = 9000;
  TimeNs drain_ns = 30 * kSecond;
  std::string pepper_file;
  std::string sealing_key_file;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  relay::Settings settings;
};

/// Runs the shard to its end. Returns the exit status; problems at start are one line on stderr.
[[nodiscard]] int run_shard(const ShardOptions& options);

}  // namespace sluice::edge
