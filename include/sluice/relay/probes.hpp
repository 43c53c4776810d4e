// Active probes: a provider is asked for its list of models, which costs nothing and shows whether
// the way to it and the key work, before a client's request has to find out. Once in a while the
// list itself is read, and left for the ledger (state/offers.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>

#include "sluice/relay/services.hpp"
#include "sluice/ring/scope.hpp"

namespace sluice::relay {

class Attempt;
struct ResponseFacts;

/// Of one shard. Channels are shared by all shards: whoever notes the time of a probe on the health
/// board first makes it.
class Probes {
 public:
  static constexpr std::size_t kMostRunning = 4;

  explicit Probes(Services& services) : services_(services) {}

  /// Starts what is due: a channel or key that may be tried again, a channel that nobody has used
  /// for an interval, and one whose list nobody has asked for in an hour. Looks around once a
  /// second; from the tick.
  void tick(TimeNs now_ns);
  /// Ends those that run, soon; then join() before the shard goes.
  void stop();
  [[nodiscard]] ring::Scope::JoinAwaiter join() { return scope_.join(); }

 private:
  struct Target {
    std::uint32_t channel = 0;         ///< index
    std::uint32_t key = state::kNone;  ///< index of the channel key, none where it needs none
    bool took_channel = false;         ///< this probe is the breaker's
    bool took_key = false;
  };
  [[nodiscard]] bool is_due(const Snapshot& snapshot, std::uint32_t channel, TimeNs now_ns) const;
  [[nodiscard]] bool claim(state::HealthEntry& entry, TimeNs now_ns) const;
  [[nodiscard]] Target take(const Snapshot& snapshot, std::uint32_t channel, TimeNs now_ns) const;
  [[nodiscard]] ring::Task<> run(std::shared_ptr<const Snapshot> snapshot, Target target,
                                 std::size_t place);
  [[nodiscard]] ring::Task<> ask(const Snapshot& snapshot, const Target& target, Attempt& attempt,
                                 int& status, policy::Fault& fault);
  /// True, and noted, where this shard has not read the channel's list for an hour.
  [[nodiscard]] bool wants_list(const state::ChannelEntry& channel);
  [[nodiscard]] ring::Task<> read_list(const state::ChannelEntry& channel, Attempt& attempt,
                                       const ResponseFacts& response);
  void note(const Snapshot& snapshot, const Target& target, int status, policy::Fault fault,
            TimeNs began_ns);

  Services& services_;
  ring::Scope scope_;
  std::array<Attempt*, kMostRunning> running_{};
  std::map<std::uint32_t, TimeNs> listed_ns_;  ///< by channel: when its list was read here
  TimeNs next_round_ns_ = 0;
};

}  // namespace sluice::relay
