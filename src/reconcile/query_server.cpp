#include "query_server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sluice/base/clock.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::size_t kClientsMost = 16;
constexpr std::size_t kQuestionMost = 256;
constexpr TimeNs kClientMostNs = 5 * kSecond;

}  // namespace

QueryServer::~QueryServer() {
  for (const Client& client : clients_) ::close(client.fd);
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(path_.c_str());
}

Result<> QueryServer::listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(Errc::too_large);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return fail(Errc::io, Source::self, Retry::no, errno);
  path_ = path;
  ::unlink(path.c_str());
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0660) != 0 || ::listen(fd_, 16) != 0) {
    return fail(Errc::io, Source::self, Retry::no, errno);
  }
  return {};
}

void QueryServer::accept_clients() {
  while (clients_.size() < kClientsMost) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    clients_.push_back({fd, {}, {}, system_clock().monotonic_ns()});
  }
}

bool QueryServer::serve(Client& client) {
  if (client.out.empty()) {
    char buffer[kQuestionMost];
    const ssize_t bytes = ::recv(client.fd, buffer, sizeof buffer, 0);
    if (bytes < 0) return errno == EAGAIN || errno == EINTR;
    if (bytes == 0) return false;
    client.in.append(buffer, static_cast<std::size_t>(bytes));
    const std::size_t end = client.in.find('\n');
    if (end == std::string::npos) return client.in.size() < kQuestionMost;
    client.out = answer_(client.in.substr(0, end));
  }
  const ssize_t sent = ::send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  client.out.erase(0, static_cast<std::size_t>(sent));
  return !client.out.empty();
}

void QueryServer::close_stale() {
  const TimeNs now_ns = system_clock().monotonic_ns();
  std::erase_if(clients_, [&](const Client& client) {
    if (now_ns - client.since_ns < kClientMostNs) return false;
    ::close(client.fd);
    return true;
  });
}

void QueryServer::wait(TimeNs timeout_ns, int wake_fd) {
  std::vector<pollfd> polled;
  polled.push_back({wake_fd, POLLIN, 0});
  polled.push_back({clients_.size() < kClientsMost ? fd_ : -1, POLLIN, 0});
  for (const Client& client : clients_) {
    polled.push_back({client.fd, static_cast<short>(client.out.empty() ? POLLIN : POLLOUT), 0});
  }
  const timespec timeout{timeout_ns / kSecond, timeout_ns % kSecond};
  if (::ppoll(polled.data(), polled.size(), &timeout, nullptr) <= 0) return close_stale();
  std::vector<Client> still;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (polled[i + 2].revents == 0 || serve(clients_[i])) {
      still.push_back(std::move(clients_[i]));
    } else {
      ::close(clients_[i].fd);
    }
  }
  clients_ = std::move(still);
  if (polled[1].revents != 0) accept_clients();
  close_stale();
}

}  // namespace sluice::reconcile
