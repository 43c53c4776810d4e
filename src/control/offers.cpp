#include "sluice/control/offers.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <tuple>

namespace sluice::control {
namespace {

constexpr std::string_view kAsAsked = "*";

template <class Rows>
const auto* find_id(const Rows& rows, ledger::Id id) {
  const auto found = std::ranges::find(rows, id, [](const auto& row) { return row.id; });
  return found == rows.end() ? nullptr : &*found;
}

/// Calls `each` with model, channel and upstream name of every route that names one.
void for_each_route(const ledger::CatalogSnapshot& catalog,
                    const std::function<void(const ledger::Model&, const ledger::Channel&,
                                             const std::string&)>& each) {
  for (const ledger::Route& route : catalog.routes) {
    const ledger::Model* model = find_id(catalog.models, route.model_id);
    const ledger::Channel* channel = find_id(catalog.channels, route.channel_id);
    if (model == nullptr || channel == nullptr || route.upstream_model == kAsAsked) continue;
    each(*model, *channel, route.upstream_model.empty() ? model->name : route.upstream_model);
  }
}

}  // namespace

std::vector<OfferRow> compare_offer(const ledger::CatalogSnapshot& catalog,
                                    const ledger::ProviderOffer& offer) {
  std::map<std::string, OfferRow> rows;
  for (const ledger::OfferedModel& model : offer.models)
    rows[model.name] = {.name = model.name, .offered = true, .since_ns = model.since_ns};
  for_each_route(catalog, [&](const ledger::Model& model, const ledger::Channel& channel,
                              const std::string& upstream) {
    if (channel.provider_id != offer.provider_id) return;
    OfferRow& row = rows[upstream];
    row.name = upstream;
    const auto place = std::ranges::lower_bound(row.models, model.name);
    if (place == row.models.end() || *place != model.name) row.models.insert(place, model.name);
  });
  std::vector<OfferRow> out;
  for (auto& [name, row] : rows) out.push_back(std::move(row));
  return out;
}

std::vector<UnlistedRoute> unlisted_routes(const ledger::CatalogSnapshot& catalog,
                                           const std::vector<ledger::ProviderOffer>& offers) {
  std::vector<UnlistedRoute> out;
  for_each_route(catalog, [&](const ledger::Model& model, const ledger::Channel& channel,
                              const std::string& upstream) {
    const auto offer =
        std::ranges::find(offers, channel.provider_id, &ledger::ProviderOffer::provider_id);
    const bool known = offer != offers.end() && offer->complete && !offer->models.empty();
    if (!known || !model.enabled || !channel.enabled) return;
    const bool listed =
        std::ranges::binary_search(offer->models, upstream, {}, &ledger::OfferedModel::name);
    if (!listed) out.push_back({channel.name, model.name, upstream});
  });
  std::ranges::sort(out, {}, [](const UnlistedRoute& route) {
    return std::tie(route.channel, route.model, route.upstream_model);
  });
  return out;
}

}  // namespace sluice::control
