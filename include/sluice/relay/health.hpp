// What one shard has to say about channels and provider keys: a fault is on the board at once, what
// went well is counted here and put there with the next tick, so that a request that goes well
// writes nothing that other shards read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sluice/base/units.hpp"
#include "sluice/policy/breaker.hpp"

namespace sluice::relay {

class Health {
 public:
  /// `board` outlives it; entries given to the calls below are of it, or null.
  explicit Health(std::span<state::HealthEntry> board);

  /// An attempt went well. `first_token_ns`: from the request's last byte to the first token, 0 =
  /// not measured. Does not allocate.
  void note_success(state::HealthEntry* entry, TimeNs now_ns, TimeNs first_token_ns);
  /// True when it is left alone from now on.
  bool note_fault(state::HealthEntry* entry, policy::Fault fault, TimeNs now_ns,
                  TimeNs retry_after_ns);
  /// Puts what was counted on the board.
  void flush(TimeNs now_ns);

 private:
  struct Local {
    std::uint32_t attempts = 0;
    std::uint32_t published = 0;  ///< of them
    std::uint32_t first_tokens = 0;
    std::uint64_t first_token_sum_us = 0;
  };
  static void publish(state::HealthEntry& entry, Local& local, TimeNs now_ns);

  std::span<state::HealthEntry> board_;
  std::vector<Local> local_;          ///< by place on the board
  std::vector<std::uint32_t> dirty_;  ///< places that have something to say, each once
};

}  // namespace sluice::relay
