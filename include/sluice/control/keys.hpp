// Client keys.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sluice/control/service.hpp"

namespace sluice::control {

/// As people write them: USD, "30d" or a date, counts, "none" for unlimited.
struct KeySettings {
  std::optional<std::string> models;
  std::optional<std::string> cidr_allow;
  std::optional<std::string> cidr_deny;
  std::optional<std::string> expires;  ///< "30d", "2027-01-01" or "never"
  std::optional<std::string> budget_total;
  std::optional<std::string> budget_day;
  std::optional<std::string> budget_month;
  std::optional<std::string> requests_per_minute;
  std::optional<std::string> tokens_per_minute;
  std::optional<std::string> max_in_flight;
  std::optional<std::string> zone;
  std::optional<std::string> on_disconnect;  ///< cancel or drain
  std::optional<std::string> on_revoke;      ///< finish or cut
  std::optional<std::string> drain_time;     ///< "60s": caps of policy drain
  std::optional<std::string> drain_bytes;    ///< "1MiB"
  std::optional<std::string> drain_cost;     ///< USD
  std::optional<std::string>
      excess_max;  ///< USD above a hold that the wallet pays; "0" = one slice
  std::optional<bool> clamp;
  std::optional<bool> may_pin;
  std::optional<bool> reserve_context;
  std::optional<std::string> credentials;  ///< pass, mask or refuse those in prompts
  std::optional<bool> enabled;
};

struct NewKey {
  ledger::ApiKey key;
  std::string secret;  ///< the only time that it exists outside the client
};

/// Makes a key. A key with a budget clamps unless told otherwise. `secret` given (tests, imports):
/// stored as is after a check of its form, at least 24 characters.
[[nodiscard]] Outcome<NewKey> add_key(Service& service, std::string_view customer,
                                      std::string_view name, const KeySettings& settings,
                                      std::string_view secret = {});
[[nodiscard]] Outcome<ledger::ApiKey> set_key(Service& service, std::string_view customer,
                                              std::string_view name, const KeySettings& settings,
                                              bool& changed);
/// Gives a key another secret, at once. The one that it had is good for `overlap` more ("24h"; "0"
/// = not at all), and those from before no longer than that. `secret` as in add_key().
[[nodiscard]] Outcome<NewKey> rotate_key(Service& service, std::string_view customer,
                                         std::string_view name, std::string_view overlap,
                                         std::string_view secret = {});
[[nodiscard]] Outcome<ledger::ApiKey> find_key(Service& service, std::string_view customer,
                                               std::string_view name);
[[nodiscard]] Outcome<std::vector<ledger::ApiKey>> list_keys(Service& service,
                                                             std::string_view customer);

/// The model patterns of a policy in canonical form: trimmed, sorted, unique, comma-separated.
[[nodiscard]] Outcome<std::string> parse_model_patterns(std::string_view text);
/// Name of the set of networks that a policy means: "allow!deny", empty when every address may.
[[nodiscard]] std::string cidr_set_text(const ledger::KeyPolicy& policy);
/// Whether an IANA zone is known to this machine.
[[nodiscard]] bool zone_exists(std::string_view zone);

}  // namespace sluice::control
