// What one shard lends to every request on it. Built by the edge, outlives all requests, used on
// the shard's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sluice/base/crypto.hpp"
#include "sluice/base/log_limit.hpp"
#include "sluice/net/pool.hpp"
#include "sluice/policy/retry_budget.hpp"
#include "sluice/relay/admission_queue.hpp"
#include "sluice/relay/health.hpp"
#include "sluice/relay/settings.hpp"
#include "sluice/relay/snapshot.hpp"
#include "sluice/relay/unknown_keys.hpp"
#include "sluice/ring/reactor.hpp"
#include "sluice/state/boards.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/verb_queue.hpp"

namespace sluice::relay {

struct Scratch;

/// Free places on the shard's meter board: one an open exchange.
class BoardPlaces {
 public:
  explicit BoardPlaces(std::uint32_t count);
  /// state::kNoBoardEntry when all are taken.
  [[nodiscard]] std::uint32_t take();
  void give_back(std::uint32_t place);

 private:
  std::vector<std::uint32_t> free_;
};

/// What the keys of clients are checked with.
struct ClientKeys {
  /// One a pepper, newest first; 1 to KeyRing::kMost, replaced by the edge.
  std::vector<std::unique_ptr<const KeyHasher>> hashers;
  UnknownKeys unknown;
};

/// What a shard has learnt of providers.
struct Providers {
  Health health;
  policy::RetryBudget retries;
  LogLimit connect_faults;  ///< lines about channels whose TLS or proxy fails
};

struct Services {
  ring::Reactor& reactor;
  net::Pool& pool;
  state::Environment& environment;
  state::VerbQueue& verbs;
  state::SlotId slot;
  state::MeterBoard board;
  state::ShardBlock& metrics;
  state::RefusedRing& refused;
  const Settings& settings;
  Providers providers;
  BoardPlaces places;
  std::shared_ptr<Scratch> scratch;
  std::shared_ptr<const Snapshot>
      snapshot;                  ///< replaced by the edge when a new generation is published
  std::uint64_t id_high = 0;     ///< random, of this process: first half of request ids
  std::uint64_t id_low = 0;      ///< counts up from a random start
  std::uint64_t body_bytes = 0;  ///< held by requests now
  bool draining = false;         ///< answers close their connections
  bool hurried = false;          ///< a connection ends with its answer, whatever that has said
  AdmissionQueue admission;      ///< of requests, when there are too many
  ClientKeys client_keys;

  void count(Counter counter, std::uint64_t by = 1) {
    metrics.add(static_cast<std::size_t>(counter), by);
  }
};

/// The parsers and buffers that requests use between two suspensions. Made once a shard.
[[nodiscard]] std::shared_ptr<Scratch> make_scratch();

}  // namespace sluice::relay
