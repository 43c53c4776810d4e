// Providers, their sealed keys, channels, models, routes and prices, and the generations of what is published.
#pragma once

#include <string_view>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/records.hpp"

namespace sluice::ledger {

class Db;

/// What the reconciler publishes, each with a number that every change raises.
enum class Topic : std::uint8_t { keys = 1, wallets = 2, catalog = 3 };

/// Everything a catalog file is built from, of one snapshot.
struct CatalogSnapshot {
  std::int64_t generation = 0;
  std::vector<Provider> providers;
  std::vector<ProviderKey> provider_keys;
  std::vector<Channel> channels;
  std::vector<Model> models;
  std::vector<Route> routes;
  std::vector<Price> prices;       ///< all rows, by model, group, band and effective date
  std::vector<std::string> zones;  ///< zones in use by keys and wallets
};

class CatalogBook {
 public:
  CatalogBook(Db& db, const Clock& clock) : db_(db), clock_(clock) {}

  // Each `put` stores by name: inserts when id is 0 and the name is new (filling id), else replaces the row with
  // that id. Each raises the catalog's generation.
  [[nodiscard]] Result<> put(Provider& provider);
  [[nodiscard]] Result<> put(ProviderKey& key);
  [[nodiscard]] Result<> put(Channel& channel);
  [[nodiscard]] Result<> put(Model& model);
  /// Replaces the routes of a model by `routes`, in the order given.
  [[nodiscard]] Result<> put_routes(Id model_id, const std::vector<Route>& routes);
  /// Adds a price version. Rows are never changed or removed.
  [[nodiscard]] Result<> add(Price& price);

  [[nodiscard]] Result<Provider> provider(std::string_view name);
  [[nodiscard]] Result<Channel> channel(std::string_view name);
  [[nodiscard]] Result<Model> model(std::string_view name);
  [[nodiscard]] Result<std::vector<Provider>> providers();
  [[nodiscard]] Result<std::vector<ProviderKey>> provider_keys(Id provider_id);  ///< 0 = all
  [[nodiscard]] Result<std::vector<Channel>> channels();
  [[nodiscard]] Result<std::vector<Model>> models();
  [[nodiscard]] Result<std::vector<Route>> routes(Id model_id);                  ///< 0 = all
  [[nodiscard]] Result<std::vector<Price>> prices(Id model_id);                  ///< 0 = all
  [[nodiscard]] Result<CatalogSnapshot> snapshot();

  /// Number of the last change of a topic.
  [[nodiscard]] Result<std::int64_t> generation(Topic topic);
  /// Number up to which a node has published it.
  [[nodiscard]] Result<std::int64_t> published(std::uint32_t node, Topic topic);
  [[nodiscard]] Result<> set_published(std::uint32_t node, Topic topic, std::int64_t generation);

  [[nodiscard]] Result<> append_audit(std::string_view actor, std::string_view action, std::string_view subject,
                                      std::string_view detail);
  [[nodiscard]] Result<std::vector<AuditRow>> audit_log(std::int64_t limit);

 private:
  Db& db_;
  const Clock& clock_;
};

}  // namespace sluice::ledger
