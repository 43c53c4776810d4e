// Providers, their sealed keys, channels, models, routes and prices, and the numbers of what is
// published.
#pragma once

#include <string_view>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/ledger/records.hpp"

namespace sluice::ledger {

class Db;

/// What the reconciler publishes. All topics draw from one sequence, so that one number says what
/// is visible.
enum class Topic : std::uint8_t { keys = 1, wallets = 2, catalog = 3 };

/// Texts that records name by number: sets of models, sets of addresses, time zones.
enum class TextKind : std::uint8_t { model_set = 1, cidr_set = 2, zone = 3 };

struct NumberedText {
  Id id = 0;  ///< > 0, stable; zone "UTC" is 0 everywhere
  TextKind kind = TextKind::model_set;
  std::string text;
};

/// Everything a catalog file is built from, of one snapshot.
struct CatalogSnapshot {
  std::int64_t generation = 0;  ///< of the last change of the catalog
  std::vector<Group> groups;
  std::vector<Provider> providers;
  std::vector<ProviderKey> provider_keys;
  std::vector<Channel> channels;
  std::vector<Model> models;
  std::vector<Route> routes;  ///< by model, in order of preference
  std::vector<RouteGroup> route_groups;
  std::vector<Price> prices;  ///< all rows, by model and effective date
  std::vector<NumberedText> texts;
};

class CatalogBook {
 public:
  explicit CatalogBook(Db& db) : db_(db) {}

  // Each `put` stores by name: inserts when id is 0 and the name is new (filling id), else replaces
  // the row with that id. Each raises the catalog's generation.
  [[nodiscard]] Result<> put(Group& group);
  [[nodiscard]] Result<> put(Provider& provider);
  [[nodiscard]] Result<> put(ProviderKey& key);
  [[nodiscard]] Result<> put(Channel& channel);
  [[nodiscard]] Result<> put(Model& model);
  [[nodiscard]] Result<> put(RouteGroup& group);
  /// Replaces the routes of a model by `routes`, in the order given.
  [[nodiscard]] Result<> put_routes(Id model_id, const std::vector<Route>& routes);
  /// Adds a price version. Rows are never changed or removed.
  [[nodiscard]] Result<> add(Price& price);

  [[nodiscard]] Result<Group> group(std::string_view name);
  [[nodiscard]] Result<std::vector<Group>> groups();
  [[nodiscard]] Result<Provider> provider(std::string_view name);
  [[nodiscard]] Result<Channel> channel(std::string_view name);
  [[nodiscard]] Result<Model> model(std::string_view name);
  [[nodiscard]] Result<RouteGroup> route_group(std::string_view name);
  [[nodiscard]] Result<std::vector<RouteGroup>> route_groups();
  [[nodiscard]] Result<std::vector<Provider>> providers();
  [[nodiscard]] Result<std::vector<ProviderKey>> provider_keys(Id provider_id);  ///< 0 = all
  [[nodiscard]] Result<std::vector<Channel>> channels();
  [[nodiscard]] Result<std::vector<Model>> models();
  [[nodiscard]] Result<std::vector<Route>> routes(Id model_id);  ///< 0 = all
  [[nodiscard]] Result<std::vector<Price>> prices(Id model_id);  ///< 0 = all
  [[nodiscard]] Result<CatalogSnapshot> snapshot();

  /// The number of a text, given at its first use (which changes the catalog). 0 for an empty set
  /// and for "UTC".
  [[nodiscard]] Result<Id> number_of(TextKind kind, std::string_view text);
  [[nodiscard]] Result<std::vector<NumberedText>> texts();

  /// Raises a topic's number, and returns it: for changes that come with time, such as a price's
  /// date.
  [[nodiscard]] Result<std::int64_t> touch(Topic topic);
  /// Number of the last change of a topic.
  [[nodiscard]] Result<std::int64_t> generation(Topic topic);
  /// Number of the last change of any topic.
  [[nodiscard]] Result<std::int64_t> newest();
  /// Number up to which everything is visible on a node; 0 = nothing yet.
  [[nodiscard]] Result<std::int64_t> published(std::uint32_t node);
  [[nodiscard]] Result<> set_published(std::uint32_t node, std::int64_t generation);

 private:
  Db& db_;
};

}  // namespace sluice::ledger
