// Catalog files: one a generation, complete before shared state names it.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "catalog_spec.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/catalog.hpp"

namespace sluice::reconcile {

class CatalogPublisher {
 public:
  CatalogPublisher(state::Environment& environment, const Clock& clock, std::string zone_directory,
                   TimeNs keep_superseded_ns);

  /// Builds a file of `snapshot`, and points at it. Fills `hosts()`. On error the file of before
  /// stays in force; what was wrong is logged.
  [[nodiscard]] Result<> publish(const ledger::CatalogSnapshot& snapshot);

  /// A price comes into force, a day has passed since the windows were published, or the clock was
  /// set back.
  [[nodiscard]] bool due() const;
  [[nodiscard]] const std::vector<HostPort>& hosts() const { return hosts_; }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] ZoneTable& zones() { return zones_; }
  /// The file in force; null while there is none that can be read.
  [[nodiscard]] const state::Catalog* present() const { return present_.get(); }

  /// Removes files that nobody can need: older than the one before the present one, while the
  /// present one has the prices of every open hold.
  void remove_old_files();

 private:
  [[nodiscard]] Result<std::set<std::uint64_t>> held_prices();
  /// Takes the number and file that the shared state names, when they are not the last known.
  [[nodiscard]] Result<> load_present();

  state::Environment& environment_;
  const Clock& clock_;
  ZoneTable zones_;
  TimeNs keep_superseded_ns_;
  std::vector<HostPort> hosts_;
  std::shared_ptr<const state::Catalog> present_;
  std::uint64_t generation_ = 0;
  std::uint64_t before_ = 0;   ///< generation before the present one
  TimeNs next_change_ns_ = 0;  ///< realtime
  TimeNs built_at_ns_ = 0;     ///< realtime
  std::set<std::string> complained_;
};

}  // namespace sluice::reconcile
