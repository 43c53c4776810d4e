// Hosts and ports of providers and proxies, from the canonical URLs that the ledger stores.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sluice/ledger/records.hpp"

namespace sluice::reconcile {

struct Endpoint {
  std::string scheme;
  std::string host;  ///< lower case, IPv6 without brackets
  std::uint16_t port = 0;
  std::string path;  ///< "" or "/v1"
};

/// scheme://host[:port][/path]; the port of http and https may be left out. Nothing when it is
/// malformed.
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view url);

}  // namespace sluice::reconcile
