// Providers and their sealed keys, channels, models, routes, prices.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sluice/control/service.hpp"

namespace sluice::control {

struct ProviderSettings {
  std::optional<std::string> dialect;  ///< openai, responses, claude, gemini
  std::optional<std::string> base_url;
  std::optional<std::string> auth;  ///< none, bearer, x-api-key, x-goog-api-key, api-key, query-key
  std::optional<std::vector<std::string>> extra_headers;  ///< "Name: value" each
  std::optional<std::vector<std::string>> quirks;         ///< of ledger::kQuirkNames
  /// Error code → class of ledger::kErrorClassNames; replaces what was there.
  std::optional<std::vector<std::pair<std::string, std::string>>> errors;
  std::optional<bool> enabled;
};
struct ChannelSettings {
  std::optional<std::string> provider;
  std::optional<std::int64_t> priority;   ///< 0 to 1000, smaller first
  std::optional<std::int64_t> weight;     ///< 1 to 1000
  std::optional<std::string> multiplier;  ///< cost against list price: "0.85"
  std::optional<std::string> proxy;       ///< "http://host:port", "socks5://host:port" or "none"
  std::optional<std::string> proxy_credentials;  ///< "user:password", stored sealed; "none" = none
  std::optional<std::string> connect_timeout;    ///< "5s"
  std::optional<std::string> first_byte_timeout;
  std::optional<std::string> total_timeout;
  std::optional<bool> enabled;
};
struct RouteSettings {
  std::string channel;
  std::string upstream_model;  ///< empty = the public name
  std::int64_t priority = -1;  ///< -1 = the channel's
  std::int64_t weight = -1;
  std::int64_t max_output_tokens = 0;  ///< 0 = the model's
};
struct ModelSettings {
  std::optional<std::vector<std::string>> aliases;
  std::optional<std::string> owner;
  std::optional<std::vector<std::string>>
      formats;  ///< openai, responses, claude, gemini; empty = all
  std::optional<std::int64_t> context_tokens;
  std::optional<std::int64_t> max_output_tokens;
  std::optional<std::string> input_margin;  ///< "1.3"
  std::optional<bool> hidden_output;
  std::optional<std::int64_t> hidden_tokens_per_s;
  std::optional<std::string> first_byte_timeout;
  std::optional<std::string> between_tokens_timeout;
  std::optional<std::string> first_token_timeout;
  std::optional<std::string> total_timeout;
  std::optional<bool> retry_after_send;
  std::optional<bool> listed;
  std::optional<bool> enabled;
  std::optional<std::vector<RouteSettings>> routes;
};
struct RouteGroupSettings {
  std::optional<std::vector<std::string>> models;  ///< names, in order of preference
  std::optional<bool> listed;
  std::optional<bool> enabled;
};
/// USD per million tokens as text. Caches that are not given cost what input costs.
struct RateSettings {
  std::string input;
  std::string output;
  std::optional<std::string> cache_read;
  std::optional<std::string> cache_write_short;
  std::optional<std::string> cache_write_long;
};
struct BandSettings {
  std::int64_t above_prompt_tokens = 0;
  RateSettings rates;
};
struct WindowSettings {
  std::string multiplier;  ///< "0.5"
  std::string start;       ///< "16:30" UTC
  std::string end;         ///< "24:00" at most; not before start
  std::string weekdays;    ///< "1-5", "1,3,7" (Monday = 1); empty = every day
};
/// Fees in USD a call, tiers as multipliers.
struct PriceSettings {
  bool free = false;  ///< then every amount is 0
  RateSettings rates;
  std::vector<BandSettings> bands;  ///< ascending
  std::vector<WindowSettings> windows;
  std::vector<std::string> holidays;                       ///< "2027-01-01"
  std::vector<std::pair<std::string, std::string>> tiers;  ///< flex, priority, batch → "0.5"
  std::vector<std::pair<std::string, std::string>>
      fees;  ///< request, web_search, file_search, code_execution, image
  std::optional<std::string> effective;  ///< date; default: now
};

/// What `put_*` did.
enum class Change : std::uint8_t { none, created, updated };

/// https, or http where the host is a private address that `allow_private` lists; no userinfo,
/// query or fragment. Returns the canonical form: lower-case host, no trailing slash.
[[nodiscard]] Outcome<std::string> check_base_url(std::string_view url,
                                                  const std::vector<std::string>& allow_private);

// Each creates what is missing and updates what differs; fields that are not set keep their value.
/// `multiplier` is text such as "0.9": what the group's customers pay against the price row.
[[nodiscard]] Outcome<Change> put_group(Service& service, std::string_view name,
                                        std::string_view multiplier);
[[nodiscard]] Outcome<Change> put_provider(Service& service, std::string_view name,
                                           const ProviderSettings& settings);
/// Stores a provider's key sealed. An empty secret keeps the one that is there; any other needs the
/// service's hasher (for the fingerprint) and sealer.
[[nodiscard]] Outcome<Change> put_provider_key(Service& service, std::string_view provider,
                                               std::string_view name, std::string_view secret,
                                               std::optional<bool> enabled);
/// Credentials of a proxy need the service's hasher and sealer.
[[nodiscard]] Outcome<Change> put_channel(Service& service, std::string_view name,
                                          const ChannelSettings& settings);
[[nodiscard]] Outcome<Change> put_model(Service& service, std::string_view name,
                                        const ModelSettings& settings);
/// A name for several models: the first that can be served is used.
[[nodiscard]] Outcome<Change> put_route_group(Service& service, std::string_view name,
                                              const RouteGroupSettings& settings);
/// Adds a price version unless the newest one of the model already says the same.
[[nodiscard]] Outcome<Change> put_price(Service& service, std::string_view model,
                                        const PriceSettings& settings);

/// "2.50" USD per million tokens → nanos per million tokens, exactly; at most nine decimals, at
/// most 1,000,000 USD.
[[nodiscard]] Outcome<Nanos> parse_price(std::string_view field, std::string_view text);
/// Thousandths of "0.85", exactly; at most `max`.
[[nodiscard]] Outcome<std::int64_t> parse_thousandths(std::string_view field, std::string_view text,
                                                      std::int64_t min, std::int64_t max);

}  // namespace sluice::control
