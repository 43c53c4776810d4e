#include "listeners.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sluice/base/clock.hpp"
#include "sluice/base/log.hpp"
#include "sluice/edge/supervisor.hpp"
#include "sluice/net/address.hpp"

namespace sluice::edge {
namespace {

constexpr TimeNs kPortWaitNs = 6 * kSecond;

}  // namespace

int open_listener(const std::string& address, TimeNs patience_ns) {
  const auto refuse = [&](const std::string& why) {
    log_line(LogLevel::error, "edge", "cannot listen on " + address + ": " + why);
    return -1;
  };
  const Result<net::Address> parsed = net::parse_address(address);
  if (!parsed) return refuse("not an ADDRESS:PORT");
  Result<int> fd = net::listen_on(*parsed);
  const TimeNs until_ns = system_clock().monotonic_ns() + patience_ns;
  const auto in_use = [&] { return !fd && fd.error().sys_errno == EADDRINUSE; };
  if (in_use() && patience_ns > 0) {
    log_line(LogLevel::warning, "edge", address + " is in use; waiting for it");
  }
  while (in_use() && system_clock().monotonic_ns() < until_ns) {
    poll(nullptr, 0, 10);
    fd = net::listen_on(*parsed);
  }
  return fd ? *fd : refuse(std::strerror(fd.error().sys_errno));
}

int inherit_or_open(const std::string& address, std::vector<Handover::Socket>& inherited) {
  const auto found = std::ranges::find(inherited, address, &Handover::Socket::address);
  if (found == inherited.end()) return open_listener(address, kPortWaitNs);
  const int fd = found->fd;
  inherited.erase(found);
  return fd;
}

void close_all(const std::vector<Handover::Socket>& sockets) noexcept {
  for (const Handover::Socket& socket : sockets) close(socket.fd);
}

bool check_listeners(const SupervisorOptions& options) {
  const auto handover = parse_handover(options.take_over);
  if (!handover) return false;
  std::vector<std::string> wanted = options.listeners;
  if (!options.metrics_address.empty()) wanted.push_back(options.metrics_address);
  for (const std::string& address : wanted) {
    const auto is_it = [&](const Handover::Socket& held) { return held.address == address; };
    if (std::ranges::any_of(handover->listening, is_it)) continue;
    if (std::ranges::any_of(handover->pages, is_it)) continue;
    const int fd = open_listener(address, 0);
    if (fd < 0) return false;
    close(fd);
  }
  return true;
}

}  // namespace sluice::edge
