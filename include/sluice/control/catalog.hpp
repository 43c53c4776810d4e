// Providers and their sealed keys, channels, models, routes, prices.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sluice/control/service.hpp"

namespace sluice::control {

struct ProviderSettings {
  std::optional<std::string> dialect;    ///< openai, anthropic, gemini
  std::optional<std::string> base_url;
  std::optional<bool> enabled;
};
struct ChannelSettings {
  std::optional<std::string> provider;
  std::optional<std::int64_t> priority;  ///< 0 to 1000, lower first
  std::optional<std::int64_t> weight;    ///< 1 to 1000
  std::optional<std::string> multiplier; ///< cost against list price: "0.85"
  std::optional<std::string> proxy;
  std::optional<bool> enabled;
};
struct RouteSettings {
  std::string channel;
  std::string upstream_model;            ///< empty = the public name
  bool enabled = true;
};
struct ModelSettings {
  std::optional<std::string> formats;    ///< chat, responses, messages, gemini, embeddings
  std::optional<std::int64_t> context_tokens;
  std::optional<std::int64_t> max_output_tokens;
  std::optional<std::string> input_margin;   ///< "1.3"
  std::optional<bool> hidden_output;
  std::optional<std::int64_t> hidden_tokens_per_s;
  std::optional<bool> retry_after_send;
  std::optional<bool> free;
  std::optional<bool> enabled;
  std::optional<std::vector<RouteSettings>> routes;
};
/// USD per million tokens, fees in USD, as text.
struct PriceSettings {
  std::string group = "default";
  std::string input;                          ///< required, as is output
  std::string output;
  std::optional<std::string> cache_read;      ///< default: as input
  std::optional<std::string> cache_write_short;
  std::optional<std::string> cache_write_long;
  std::optional<std::string> per_request;
  std::optional<std::string> per_tool_call;
  std::optional<std::int64_t> band_from_tokens;
  std::optional<std::string> effective;       ///< date; default: now
};

/// What `put_*` did.
enum class Change : std::uint8_t { none, created, updated };

/// https, or http where the host is a private address that `allow_private` lists; no userinfo, query or fragment.
/// Returns the canonical form: lower-case host, no trailing slash.
[[nodiscard]] Outcome<std::string> check_base_url(std::string_view url,
                                                  const std::vector<std::string>& allow_private);

// Each creates what is missing and updates what differs; fields that are not set keep their value.
[[nodiscard]] Outcome<Change> put_provider(Service& service, std::string_view name, const ProviderSettings& settings);
/// Stores a provider's key sealed. The same key again under the same name is a change: sealing cannot be compared.
[[nodiscard]] Outcome<Change> put_provider_key(Service& service, std::string_view provider, std::string_view name,
                                               std::string_view secret, std::optional<bool> enabled);
[[nodiscard]] Outcome<Change> put_channel(Service& service, std::string_view name, const ChannelSettings& settings);
[[nodiscard]] Outcome<Change> put_model(Service& service, std::string_view name, const ModelSettings& settings);
/// Adds a price version unless the newest one of the same group and band already says the same.
[[nodiscard]] Outcome<Change> put_price(Service& service, std::string_view model, const PriceSettings& settings);

/// "2.50" USD per million tokens → nanos per million tokens, exactly; at most nine decimals, at most 1,000,000 USD.
[[nodiscard]] Outcome<Nanos> parse_price(std::string_view field, std::string_view text);

}  // namespace sluice::control
