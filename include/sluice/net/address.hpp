// Socket addresses. Names are never resolved here: the reconciler resolves, the edge connects to
// what it pinned.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/base/error.hpp"

namespace sluice::net {

/// An IPv4 or IPv6 address with port.
struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  [[nodiscard]] const sockaddr* raw() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
  friend bool operator==(const Address& a, const Address& b) noexcept;
};

/// "127.0.0.1:8080" or "[::1]:8080"; numeric only. Errc::bad_value otherwise.
[[nodiscard]] Result<Address> parse_address(std::string_view text);

/// IP address without the port as text, for records.
[[nodiscard]] std::string to_string(const Address& address);

/// A listening TCP socket (SO_REUSEADDR, close-on-exec, backlog 4096). Errors carry the errno.
[[nodiscard]] Result<int> listen_on(const Address& address);

}  // namespace sluice::net
