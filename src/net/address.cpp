#include "sluice/net/address.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace sluice::net {
namespace {

constexpr int kBacklog = 4096;
// What the kernel keeps for a client that does not take it, besides what is on its way: without a
// limit 1.2 MB were measured, and two thousand such clients use up the memory of all connections
// (net.ipv4.tcp_mem). Does not bound what is on its way, so it costs no throughput.
constexpr int kUnsentBytes = 64 * 1024;

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return fail(Errc::bad_value);
  return port;
}

}  // namespace

bool operator==(const Address& a, const Address& b) noexcept {
  return a.bytes == b.bytes && std::memcmp(&a.storage, &b.storage, a.bytes) == 0;
}

Result<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(Errc::bad_value);
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::unexpected(port.error());
  std::string_view host = text.substr(0, colon);
  // inet_pton() would stop there and take what stands before it.
  if (host.find('\0') != std::string_view::npos) return fail(Errc::bad_value);
  Address address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(*port);
    address.bytes = sizeof *v6;
    if (inet_pton(AF_INET6, std::string(host).c_str(), &v6->sin6_addr) != 1) {
      return fail(Errc::bad_value);
    }
    return address;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(*port);
  address.bytes = sizeof *v4;
  if (inet_pton(AF_INET, std::string(host).c_str(), &v4->sin_addr) != 1) {
    return fail(Errc::bad_value);
  }
  return address;
}

std::string to_string(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
  } else if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
  }
  return text;
}

Result<int> listen_on(const Address& address) {
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(Errc::io, Source::self, Retry::no, errno);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Inherited by accepted sockets: two calls less a connection.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes, sizeof kUnsentBytes);
  if (bind(fd, address.raw(), address.bytes) != 0 || listen(fd, kBacklog) != 0) {
    const int error_number = errno;
    ::close(fd);
    return fail(Errc::io, Source::self, Retry::no, error_number);
  }
  return fd;
}

}  // namespace sluice::net
