// What a shard has from files: secrets and certificates, at its start and when it is told to read
// them anew.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sluice/base/key_ring.hpp"
#include "sluice/edge/shard.hpp"
#include "sluice/tls/context.hpp"

namespace sluice::edge {

struct ShardFiles {
  KeyRing peppers;
  KeyRing sealing_keys;
  std::vector<std::optional<tls::ServerContext>> certificates;  ///< one a listener; absent = plain

  /// All of them, or nothing and one line in `message`. `tickets` outlives the contexts; null where
  /// they are only checked.
  [[nodiscard]] static std::optional<ShardFiles> read(const ShardOptions& options,
                                                      tls::TicketKeys* tickets,
                                                      std::string& message);
};

}  // namespace sluice::edge
