#include "sluice/control/url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "fields.hpp"
#include "sluice/base/ssrf.hpp"
#include "sluice/control/catalog.hpp"

namespace sluice::control {
namespace {

std::unexpected<Problem> bad(std::string_view field, std::string_view why) {
  return problem(Errc::bad_value, fmt::format("{}: {}", field, why));
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

/// RFC 1123 labels. A last label of digits alone would be read as an address by some resolvers:
/// refused.
bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  std::string_view label;
  while (!host.empty()) {
    const std::size_t dot = host.find('.');
    label = host.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
      return false;
    if (label.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string_view::npos)
      return false;
    if (dot == host.size() - 1) return false;
    host.remove_prefix(dot == std::string_view::npos ? host.size() : dot + 1);
  }
  return label.find_first_not_of("0123456789") != std::string_view::npos &&
         !label.starts_with("0x");
}

/// A name is checked at each resolution; "localhost" is the one whose address everybody knows.
std::optional<IpAddress> address_of(std::string_view host) {
  return parse_ip(host == "localhost" ? "127.0.0.1" : host);
}

bool is_path(std::string_view path) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@";
  return path.find_first_not_of(kAllowed) == std::string_view::npos &&
         path.find("//") == std::string_view::npos && path.find("/.") == std::string_view::npos;
}

}  // namespace

Outcome<Url> parse_url(std::string_view field, std::string_view text) {
  Url url;
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos || text.size() > 400)
    return bad(field, "must be scheme://host[:port][/path]");
  url.scheme = lower(text.substr(0, colon));
  text.remove_prefix(colon + 3);
  if (text.find_first_of("?#") != std::string_view::npos)
    return bad(field, "must not have a query or a fragment");
  const std::size_t slash = text.find('/');
  std::string_view authority = text.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? std::string_view() : text.substr(slash);
  if (authority.find('@') != std::string_view::npos)
    return bad(field, "must not hold a user name or password");
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return bad(field, "has an open bracket");
    url.host = lower(authority.substr(1, end - 1));
    if (url.host.find(':') == std::string::npos || !parse_ip(url.host))
      return bad(field, "has no valid IPv6 address");
    port = authority.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return bad(field, "has bytes after the bracket");
  } else {
    const std::size_t at = authority.find(':');
    url.host = lower(authority.substr(0, at));
    port = at == std::string_view::npos ? std::string_view() : authority.substr(at);
    if (!is_host_name(url.host) && !parse_ip(url.host))
      return bad(field, fmt::format("'{}' is no host name", url.host));
  }
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc() || end != port.data() + port.size() || url.port < 1 ||
        url.port > 65'535) {
      return bad(field, "port must be 1 to 65535");
    }
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!is_path(path))
    return bad(field, "path may hold letters, digits and -._~:@ between single slashes");
  url.path = path;
  return url;
}

std::string to_string(const Url& url) {
  const bool v6 = url.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}{}{}", url.scheme, v6 ? "[" : "", url.host, v6 ? "]" : "",
                     url.port == 0 ? "" : fmt::format(":{}", url.port), url.path);
}

Outcome<> check_reachable(std::string_view field, std::string_view host,
                          const std::vector<std::string>& allow_private) {
  std::vector<Cidr> networks;
  for (const std::string& item : allow_private) {
    const auto network = parse_cidr(item);
    if (!network) return bad("allow_private", fmt::format("'{}' is no network", item));
    networks.push_back(*network);
  }
  const auto address = address_of(host);
  if (!address || may_connect(*address, networks)) return {};
  return problem(Errc::forbidden,
                 fmt::format("{}: {} is not a public address and allow_private does not list it",
                             field, host));
}

Outcome<std::string> check_base_url(std::string_view text,
                                    const std::vector<std::string>& allow_private) {
  auto url = parse_url("base-url", text);
  if (!url) return std::unexpected(url.error());
  if (url->scheme != "https" && url->scheme != "http")
    return bad("base-url", "must begin with https:// (or http:// on allowed private addresses)");
  CONTROL_TRY(check_reachable("base-url", url->host, allow_private));
  const auto address = address_of(url->host);
  if (url->scheme == "http" && !(address && !is_public(*address))) {
    return problem(Errc::forbidden,
                   "base-url: http:// sends keys in the clear; only addresses that allow_private "
                   "lists may use it");
  }
  return to_string(*url);
}

}  // namespace sluice::control
