// The ledger's catalog in the form that a catalog file is built from. Pure but for its log lines.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "sluice/ledger/catalog_book.hpp"
#include "sluice/state/catalog_builder.hpp"
#include "zone_windows.hpp"

namespace sluice::reconcile {

/// A place to connect to.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  friend auto operator<=>(const HostPort&, const HostPort&) = default;
};

struct CatalogInputs {
  TimeNs realtime_ns = 0;
  std::uint64_t generation = 0;         ///< of the file
  TimeNs keep_superseded_ns = 0;        ///< a price is kept so long after another took its place
  std::set<std::uint64_t> held_prices;  ///< versions that open holds name
  std::int64_t zone_days = 400;         ///< how far ahead window boundaries reach, at least
};

struct CatalogPlan {
  state::CatalogSpec spec;
  std::vector<HostPort> hosts;  ///< that shards connect to: providers, or their proxies
  TimeNs next_change_ns = 0;    ///< realtime at which a price comes into force; 0 = none is known
  std::vector<std::string> complaints;  ///< what was left out and why, a line each
};

/// What is unusable is left out with a complaint, so that one bad row does not stop every
/// publication.
[[nodiscard]] CatalogPlan plan_catalog(const ledger::CatalogSnapshot& snapshot,
                                       const CatalogInputs& inputs, ZoneTable& zones);

}  // namespace sluice::reconcile
