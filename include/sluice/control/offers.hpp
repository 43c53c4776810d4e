// What providers offer beside what the catalog makes of it: which of their models have a name here,
// and which routes lead to a model that they do not list (any more). Pure functions.
#pragma once

#include <string>
#include <vector>

#include "sluice/ledger/catalog_book.hpp"
#include "sluice/ledger/offer_book.hpp"

namespace sluice::control {

/// A name of the provider's: from its list, from a route, or from both.
struct OfferRow {
  std::string name;
  bool offered = false;             ///< its list has it
  TimeNs since_ns = 0;              ///< realtime, where it is offered
  std::vector<std::string> models;  ///< public names whose routes lead there, by name
};
/// By name. Routes that pass the name on that was asked for ("*") lead to none of them.
[[nodiscard]] std::vector<OfferRow> compare_offer(const ledger::CatalogSnapshot& catalog,
                                                  const ledger::ProviderOffer& offer);

struct UnlistedRoute {
  std::string channel;
  std::string model;  ///< public name
  std::string upstream_model;
};
/// Enabled routes to what their provider's list lacks, by channel and model. Of providers whose
/// list is not known, empty or not complete there are none: that it lacks a name says nothing then.
/// It is a hint, no proof: some providers serve names that they do not list.
[[nodiscard]] std::vector<UnlistedRoute> unlisted_routes(
    const ledger::CatalogSnapshot& catalog, const std::vector<ledger::ProviderOffer>& offers);

}  // namespace sluice::control
