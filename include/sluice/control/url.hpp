// URLs of providers and proxies, taken apart strictly.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/control/problem.hpp"

namespace sluice::control {

struct Url {
  std::string scheme;  ///< lower case
  std::string host;    ///< lower case; IPv6 without brackets
  int port = 0;        ///< 0 = the scheme's own
  std::string path;    ///< "" or "/v1", no slash at the end
};

/// scheme://host[:port][/path]: no userinfo, query, fragment, empty or dot segments, blanks or
/// percent signs. Host: letters, digits, '-' and '.' as RFC 1123 has it, or an IP address in its
/// one canonical form.
[[nodiscard]] Outcome<Url> parse_url(std::string_view field, std::string_view text);
[[nodiscard]] std::string to_string(const Url& url);

/// Whether a host that is an address may be connected to: a public one, or one that `allow_private`
/// lists. Names are checked when they are resolved.
[[nodiscard]] Outcome<> check_reachable(std::string_view field, std::string_view host,
                                        const std::vector<std::string>& allow_private);

}  // namespace sluice::control
