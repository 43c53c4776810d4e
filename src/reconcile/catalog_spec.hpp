// The ledger's catalog as the file that shards map.
#pragma once

#include <set>
#include <string>

#include "price_book.hpp"
#include "sluice/ledger/catalog_book.hpp"
#include "sluice/state/catalog_builder.hpp"

namespace sluice::reconcile {

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  auto operator<=>(const HostPort&) const = default;
};

struct CatalogPlan {
  state::CatalogSpec spec;
  std::set<HostPort> hosts;       ///< to be resolved: of enabled channels and their proxies
  TimeNs rebuild_at_ns = 0;       ///< realtime: when time alone changes the catalog (a price's date, a new day)
};

/// Pure but for the zone files it reads. `used_versions`: price versions that open holds carry.
/// Rows that cannot be used (a channel whose provider is gone, a zone without a file) are left out with a line in
/// `warnings`; they never keep the rest from being published.
[[nodiscard]] CatalogPlan plan_catalog(const ledger::CatalogSnapshot& snapshot, const PriceBook& prices,
                                       const std::set<std::uint64_t>& used_versions, TimeNs realtime_ns,
                                       std::vector<std::string>& warnings);

}  // namespace sluice::reconcile
