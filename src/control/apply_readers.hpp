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
/// `secret`, `secret_env` (name of a variable) or `secret_file`; empty when none is given.
[[nodiscard]] std::string read_secret(TomlTable& table);

}  // namespace sluice::control
