#include "endpoint.hpp"

#include <charconv>

namespace sluice::reconcile {
namespace {

bool read_port(std::string_view text, std::uint16_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out != 0;
}

}  // namespace

std::optional<Endpoint> parse_endpoint(std::string_view url) {
  Endpoint out;
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  out.scheme = url.substr(0, colon);
  url.remove_prefix(colon + 3);
  const std::size_t slash = url.find('/');
  if (slash != std::string_view::npos) out.path = url.substr(slash);
  std::string_view authority = url.substr(0, slash);
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    out.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else {
    const std::size_t at = authority.find(':');
    out.host = authority.substr(0, at);
    if (at != std::string_view::npos) port = authority.substr(at);
  }
  if (out.scheme == "https") out.port = 443;
  if (out.scheme == "http") out.port = 80;
  if (!port.empty() && (port.front() != ':' || !read_port(port.substr(1), out.port)))
    return std::nullopt;
  if (out.host.empty() || out.port == 0) return std::nullopt;
  return out;
}

}  // namespace sluice::reconcile
