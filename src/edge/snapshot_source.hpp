// Follows the published generations: makes a new snapshot when the reconciler has put a newer
// catalog or newer addresses into force.
#pragma once

#include <memory>
#include <string>

#include "secrets.hpp"
#include "sluice/relay/snapshot.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::edge {

class SnapshotSource {
 public:
  SnapshotSource(state::Environment& environment, std::shared_ptr<const tls::ClientContext> tls)
      : environment_(environment), tls_(std::move(tls)) {}

  /// The present snapshot if it is newer than the last one given; null when nothing changed or
  /// nothing is published yet. A file that does not open is logged once and the old snapshot stays
  /// in force.
  [[nodiscard]] std::shared_ptr<const relay::Snapshot> poll();

  /// Provider keys are opened with these from now on: the next poll() opens them anew. Before it
  /// was called none can be opened.
  void set_sealing_keys(const KeyRing& sealing_keys);

 private:
  void complain(const char* what, std::uint64_t generation, const Error& error);

  state::Environment& environment_;
  LockedRing sealing_keys_;
  std::shared_ptr<const tls::ClientContext> tls_;
  std::shared_ptr<const relay::Snapshot> last_;
  std::uint64_t catalog_generation_ = 0;
  std::uint64_t addresses_generation_ = 0;
  std::uint64_t complained_about_ = 0;
  std::uint32_t pool_generation_ = 0;
};

}  // namespace sluice::edge
