#include "sluice/base/error.hpp"

namespace sluice {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::none:
      return "none";
    case Errc::bad_syntax:
      return "bad_syntax";
    case Errc::bad_framing:
      return "bad_framing";
    case Errc::too_large:
      return "too_large";
    case Errc::head_too_large:
      return "head_too_large";
    case Errc::target_too_long:
      return "target_too_long";
    case Errc::unsupported:
      return "unsupported";
    case Errc::bad_value:
      return "bad_value";
    case Errc::expectation_failed:
      return "expectation_failed";
    case Errc::closed:
      return "closed";
    case Errc::reset:
      return "reset";
    case Errc::refused:
      return "refused";
    case Errc::unreachable:
      return "unreachable";
    case Errc::timed_out:
      return "timed_out";
    case Errc::truncated:
      return "truncated";
    case Errc::tls_failed:
      return "tls_failed";
    case Errc::cancelled:
      return "cancelled";
    case Errc::unauthenticated:
      return "unauthenticated";
    case Errc::forbidden:
      return "forbidden";
    case Errc::not_found:
      return "not_found";
    case Errc::insufficient_funds:
      return "insufficient_funds";
    case Errc::budget_exhausted:
      return "budget_exhausted";
    case Errc::rate_limited:
      return "rate_limited";
    case Errc::conflict:
      return "conflict";
    case Errc::full:
      return "full";
    case Errc::unavailable:
      return "unavailable";
    case Errc::io:
      return "io";
    case Errc::corrupt:
      return "corrupt";
    case Errc::stale_epoch:
      return "stale_epoch";
    case Errc::internal:
      return "internal";
    case Errc::proxy_failed:
      return "proxy_failed";
  }
  return "unknown";
}

std::string_view to_string(Source source) {
  switch (source) {
    case Source::self:
      return "self";
    case Source::client:
      return "client";
    case Source::upstream:
      return "upstream";
  }
  return "unknown";
}

}  // namespace sluice
