#include "socket_error.hpp"

#include <cerrno>

namespace sluice::net {
namespace {

Errc code_of(int error_number) noexcept {
  switch (error_number) {
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
      return Errc::reset;
    case ECONNREFUSED:
    case EACCES:  // a firewall of this machine
    case EPERM:
      return Errc::refused;
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ENONET:
      return Errc::unreachable;
    case ETIMEDOUT:
      return Errc::timed_out;
    default:
      return Errc::io;
  }
}

}  // namespace

Error error_of(int error_number, Source peer) noexcept {
  return {code_of(error_number), peer, Retry::no, error_number};
}

Error connect_error_of(int error_number, Source peer) noexcept {
  if (error_number == EADDRNOTAVAIL) return {Errc::full, Source::self, Retry::yes, error_number};
  return {code_of(error_number), peer, Retry::yes, error_number};
}

}  // namespace sluice::net
