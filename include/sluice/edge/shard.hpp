// A shard process: one core, one ring. It attaches to the shared state, takes a slot, accepts
// connections on the sockets it inherited and serves them until its supervisor says drain or is
// gone.
#pragma once

#include <string>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/units.hpp"
#include "sluice/relay/settings.hpp"

namespace sluice::edge {

/// An inherited listening socket; with a certificate it speaks TLS.
struct ListenerOptions {
  int fd = -1;
  std::string certificate_file;
  std::string key_file;
};

struct ShardOptions {
  std::uint32_t number = 0;  ///< 0 … shards - 1
  std::vector<ListenerOptions> listeners;
  /// Inherited pipe: what the supervisor says; its end = the supervisor died.
  int control = -1;
  std::string state_directory;
  std::uint64_t generation = 1;  ///< of the edge that started it
  int cpu = -1;                  ///< pin to this core; -1 = not
  TimeNs spin_ns = 0;
  bool profile_6_1 = false;
  std::uint32_t connections_most = 9000;
  std::uint32_t connections_per_address = 0;  ///< of this shard; 0 = unlimited
  std::uint32_t unknown_keys_a_minute = 60;   ///< of one address; 0 = unlimited
  TimeNs drain_ns = 30 * kSecond;
  TimeNs upgrade_drain_ns = 600 * kSecond;
  std::string pepper_file;
  std::string sealing_key_file;
  std::string ca_file;  ///< trusted authorities of providers
  TimeNs tls_handshake_ns = 5 * kSecond;
  relay::Settings settings;
  const Clock* clock = &system_clock();  ///< of the event loop: deadlines, dates in records
};

/// Whether the files that a shard needs are there and make sense: secrets, certificates,
/// authorities. The supervisor asks once before it starts any. `message` gets one line on failure.
[[nodiscard]] bool check_files(const ShardOptions& options, std::string& message);

/// Runs the shard to its end. Returns the exit status; problems at start are one line on stderr.
[[nodiscard]] int run_shard(const ShardOptions& options);

}  // namespace sluice::edge
