// What a request sees of the catalog: one generation of models, prices, addresses and opened
// provider keys. A request keeps the snapshot it began with.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "sluice/state/addresses.hpp"
#include "sluice/state/catalog.hpp"
#include "sluice/state/health.hpp"

namespace sluice::tls {
class ClientContext;
}

namespace sluice::relay {

struct Snapshot {
  std::shared_ptr<const state::Catalog> catalog;
  std::shared_ptr<const state::AddressBook> addresses;
  /// Provider keys in the clear, in the order of the catalog's channel keys; empty where one could
  /// not be opened.
  std::vector<std::string_view> provider_keys;
  /// "user:password" of proxies, in the order of the catalog's channels; empty where there are
  /// none.
  std::vector<std::string_view> proxy_credentials;
  /// Places on the health board by index of the channel and of the channel key; null = none left.
  std::vector<state::HealthEntry*> channel_health;
  std::vector<state::HealthEntry*> key_health;
  std::shared_ptr<const void> secrets;  ///< locked memory behind the keys and credentials
  std::shared_ptr<const tls::ClientContext> tls;
  std::uint32_t pool_generation = 0;  ///< connections made under another one are not reused
};

}  // namespace sluice::relay
