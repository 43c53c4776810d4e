// Columns of the catalog's tables, and rows as values. Shared by what writes and what reads them.
#pragma once

#include "sluice/ledger/catalog_book.hpp"
#include "db.hpp"

namespace sluice::ledger {

#define GROUP_COLUMNS "SELECT id, name, multiplier FROM price_group "
inline constexpr const char* kGroupTypes = "iti";
#define PROVIDER_COLUMNS                                                             \
  "SELECT id, name, dialect, base_url, auth, extra_headers, quirks, error_classes, " \
  "enabled FROM provider "
inline constexpr const char* kProviderTypes = "ittttttti";
#define PROVIDER_KEY_COLUMNS \
  "SELECT id, provider_id, name, sealed, fingerprint, last_chars, enabled FROM provider_key "
inline constexpr const char* kProviderKeyTypes = "iitttti";
#define CHANNEL_COLUMNS                                                                     \
  "SELECT id, name, provider_id, priority, weight, multiplier, proxy, connect_timeout_ms, " \
  "first_byte_timeout_ms, total_timeout_ms, enabled, proxy_credentials, proxy_fingerprint " \
  "FROM channel "
inline constexpr const char* kChannelTypes = "itiiiitiiiitt";
#define MODEL_COLUMNS                                                                         \
  "SELECT id, name, aliases, owner, formats, context_tokens, max_output_tokens, "             \
  "first_byte_timeout_ms, "                                                                   \
  "between_tokens_timeout_ms, hidden_output, retry_after_send, listed, enabled, created_ns, " \
  "input_margin, "                                                                            \
  "hidden_tokens_per_s, first_token_timeout_ms, total_timeout_ms FROM model "
inline constexpr const char* kModelTypes = "ittttiiiiiiiiiiiii";
#define ROUTE_GROUP_COLUMNS "SELECT id, name, models, listed, enabled, created_ns FROM route_group "
inline constexpr const char* kRouteGroupTypes = "ittiii";
#define ROUTE_COLUMNS \
  "SELECT model_id, channel_id, upstream_model, priority, weight, max_output_tokens FROM route "
inline constexpr const char* kRouteTypes = "iitiii";
#define PRICE_COLUMNS                                                              \
  "SELECT version, model_id, effective_ns, input, cache_read, cache_write_short, " \
  "cache_write_long, output, "                                                     \
  "fees, bands, windows, holidays, tiers, free FROM price "
inline constexpr const char* kPriceTypes = "iiiiiiiittttti";

[[nodiscard]] Group to_group(const Row& row);
[[nodiscard]] Provider to_provider(const Row& row);
[[nodiscard]] ProviderKey to_provider_key(const Row& row);
[[nodiscard]] Channel to_channel(const Row& row);
[[nodiscard]] Model to_model(const Row& row);
[[nodiscard]] RouteGroup to_route_group(const Row& row);
[[nodiscard]] Route to_route(const Row& row);
[[nodiscard]] Price to_price(const Row& row);

}  // namespace sluice::ledger
