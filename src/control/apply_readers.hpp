// Tables of an `apply` file → settings. Unknown keys are found by TomlTable::finish(), which the
// caller calls.
#pragma once

#include "sluice/base/strict_toml.hpp"
#include "sluice/control/catalog.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/control/keys.hpp"

namespace sluice::control {

[[nodiscard]] ProviderSettings read_provider(TomlTable& table);
[[nodiscard]] ChannelSettings read_channel(TomlTable& table);
[[nodiscard]] ModelSettings read_model(TomlTable& table);
[[nodiscard]] RouteGroupSettings read_route_group(TomlTable& table);
[[nodiscard]] PriceSettings read_price(TomlTable& table);
[[nodiscard]] CustomerSettings read_customer(TomlTable& table);
[[nodiscard]] KeySettings read_key(TomlTable& table);

/// A secret, and where it was to come from.
struct SecretSource {
  std::string secret;    ///< empty when none is given, or its variable is not set
  std::string variable;  ///< the name that NAME_env gives
};
/// NAME, NAME_env (of a variable) or NAME_file.
[[nodiscard]] SecretSource read_secret(TomlTable& table, const std::string& name);

}  // namespace sluice::control
