// Builds catalog files. Used by the reconciler; allocates freely.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/state/catalog.hpp"

namespace sluice::state {

struct CandidateSpec {
  std::uint32_t channel_id = 0;
  std::uint16_t priority = 0;
  std::uint16_t weight = 1;
  std::string upstream_model;  ///< empty = the public name; "*" = the name that was asked for
  std::uint32_t max_output_tokens = 0;
};

struct ModelSpec {
  std::uint32_t id = 0;
  std::string name;
  std::vector<std::string> aliases;  ///< one with `*` matches any run of characters there
  std::string owner;
  std::uint32_t flags = kModelEnabled | kModelListed;
  std::uint32_t formats = ~0U;
  std::uint64_t price_version = 0;       ///< 0 = no price: calls are refused, never free
  std::uint64_t next_price_version = 0;  ///< 0 = none
  std::uint32_t hidden_tokens_per_s = 0;
  Tokens max_output_tokens = 0;
  Tokens context_tokens = 0;
  TimeNs created_at_ns = 0;
  std::uint32_t first_byte_timeout_ms = 0;
  std::uint32_t between_tokens_timeout_ms = 0;
  std::uint32_t first_token_timeout_ms = 0;
  std::uint32_t total_timeout_ms = 0;
  std::vector<CandidateSpec> candidates;
};

struct RouteGroupSpec {
  std::uint32_t id = 0;
  std::string name;
  std::vector<std::uint32_t> model_ids;  ///< in order of preference; unknown ones are an error
  std::uint32_t flags = kRouteGroupEnabled | kRouteGroupListed;
  TimeNs created_at_ns = 0;
};

struct ChannelKeySpec {
  std::uint32_t id = 0;
  bool enabled = true;
  std::string sealed;
};

struct ChannelSpec {
  std::uint32_t id = 0;
  std::uint32_t flags = kChannelEnabled;
  std::string name;
  std::uint8_t format = 0;
  Scheme scheme = Scheme::https;
  Auth auth = Auth::bearer;
  std::uint16_t port = 443;
  std::string host;
  std::string base_path;
  ProxyKind proxy = ProxyKind::none;
  std::string proxy_host;
  std::uint16_t proxy_port = 0;
  std::string proxy_credentials;
  std::string extra_headers;
  std::uint64_t quirks = 0;
  std::string error_classes;
  std::uint32_t connect_timeout_ms = 0;
  std::uint32_t first_byte_timeout_ms = 0;
  std::uint32_t total_timeout_ms = 0;
  std::uint32_t multiplier = price::kOne;
  std::vector<ChannelKeySpec> keys;
};

struct ModelSetSpec {
  std::uint32_t id = 0;  ///< > 0
  /// Names, `*` matches any run of characters; aliases and groups count.
  std::vector<std::string> patterns;
};
struct CidrSetSpec {
  std::uint32_t id = 0;  ///< > 0
  std::vector<CidrEntry> entries;
};
struct ZoneSpec {
  std::uint32_t id = 0;  ///< 0 = UTC must be there
  std::string name;
  std::vector<Boundary> days;  ///< ascending in time and window, not empty
  std::vector<Boundary> months;
};
struct GroupSpec {
  std::uint32_t id = 0;
  std::uint32_t multiplier = price::kOne;
  std::string name;
};

struct CatalogSpec {
  std::uint64_t generation = 0;
  std::vector<ModelSpec> models;
  std::vector<RouteGroupSpec> route_groups;
  std::vector<ChannelSpec> channels;
  std::vector<price::PriceRow>
      prices;  ///< those in force or to come, and old ones that open holds name
  std::vector<ModelSetSpec> model_sets;
  std::vector<CidrSetSpec> cidr_sets;
  std::vector<ZoneSpec> zones;
  std::vector<GroupSpec> groups;  ///< group 0 (multiplier 1) is added when it is missing
};

/// The file's bytes. Errors: bad_value (duplicate ids or names, unknown references, bad price rows,
/// header injection in names …) with a line in `message`; too_large.
[[nodiscard]] Result<std::vector<std::byte>> build_catalog(const CatalogSpec& spec,
                                                           std::string& message);

/// Content hash of the bytes of a catalog or address file, as its header and CatalogPointer have
/// it; 0 when they are too short to be one.
[[nodiscard]] std::uint64_t file_hash(std::span<const std::byte> bytes);

/// Writes `bytes` to <directory>/<name> completely and only then under that name. Errors: io.
[[nodiscard]] Result<> write_file(const std::string& directory, const std::string& name,
                                  std::span<const std::byte> bytes);

/// "catalog.<generation>", "addresses.<generation>".
[[nodiscard]] std::string catalog_file_name(std::uint64_t generation);
[[nodiscard]] std::string addresses_file_name(std::uint64_t generation);

/// UTC day and month boundaries from `from_s` (realtime seconds) for `days` days: for zone 0 and
/// for tests. Window ids: days since 1970, and 12 × year + month - 1.
[[nodiscard]] ZoneSpec utc_zone(std::int64_t from_s, std::uint32_t days);

}  // namespace sluice::state
