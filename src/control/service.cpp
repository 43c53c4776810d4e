#include "sluice/control/service.hpp"

#include <fmt/format.h>

namespace sluice::control {

Problem from_ledger(Service& service, const Error& error, std::string_view what) {
  switch (error.code) {
    case Errc::not_found:
      return {error.code, fmt::format("{}: not found", what)};
    case Errc::conflict:
      return {error.code, fmt::format("{}: exists already", what)};
    case Errc::bad_value:
      return {error.code, fmt::format("{}: impossible value", what)};
    case Errc::unavailable:
      return {error.code,
              fmt::format("{}: ledger is busy or full: {}", what, service.ledger.last_error())};
    default:
      return {error.code, fmt::format("{}: ledger: {}", what, service.ledger.last_error())};
  }
}

}  // namespace sluice::control
