#include "scripted_upstream.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <utility>

namespace sluice::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::size_t content_length(std::string_view head) {
  for (const std::string_view name : {"content-length: ", "Content-Length: "}) {
    const std::size_t at = head.find(name);
    if (at != std::string_view::npos) {
      return std::strtoull(head.data() + at + name.size(), nullptr, 10);
    }
  }
  return 0;
}

bool is_chunked(std::string_view head) {
  return head.find("ransfer-encoding: chunked") != std::string_view::npos ||
         head.find("ransfer-Encoding: chunked") != std::string_view::npos;
}

}  // namespace

void Gate::open() {
  const std::scoped_lock lock(mutex_);
  open_ = true;
  changed_.notify_all();
}

void Gate::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(kPatienceMs), [&] { return open_; });
}

Socket::Socket(Socket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

Socket::~Socket() { close(); }

Socket Socket::connect_to(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return Socket(-1);
  }
  return Socket(fd);
}

void Socket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool Socket::receive_some(int wait_ms) {
  pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
  if (poll(&readable, 1, wait_ms) <= 0) return false;
  char bytes[16384];
  const ssize_t got = recv(fd_, bytes, sizeof bytes, 0);
  if (got <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(got));
  return true;
}

std::string Socket::receive(std::size_t bytes) {
  while (buffer_.size() < bytes && receive_some(kPatienceMs)) {
  }
  std::string taken = buffer_.substr(0, bytes);
  buffer_.erase(0, taken.size());
  return taken;
}

std::string Socket::received() { return std::exchange(buffer_, {}); }

std::string Socket::receive_until(std::string_view text, int wait_ms) {
  std::size_t at = 0;
  while ((at = buffer_.find(text)) == std::string::npos) {
    if (!receive_some(wait_ms)) return std::exchange(buffer_, {});
  }
  return receive(at + text.size());
}

std::string Socket::receive_message() {
  std::size_t head_end = 0;
  while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!receive_some(kPatienceMs)) return std::exchange(buffer_, {});
  }
  head_end += 4;
  const std::string head = buffer_.substr(0, head_end);
  if (is_chunked(head)) {
    while (buffer_.find("0\r\n\r\n", head_end) == std::string::npos && receive_some(kPatienceMs)) {
    }
    const std::size_t end = buffer_.find("0\r\n\r\n", head_end);
    return receive(end == std::string::npos ? buffer_.size() : end + 5);
  }
  return receive(head_end + content_length(head));
}

std::string Socket::receive_all() {
  while (receive_some(kPatienceMs)) {
  }
  return std::exchange(buffer_, {});
}

bool Socket::peer_ended(int wait_ms) {
  pollfd readable{.fd = fd_, .events = POLLIN | POLLRDHUP, .revents = 0};
  if (poll(&readable, 1, wait_ms) <= 0) return false;
  return (readable.revents & (POLLHUP | POLLERR | POLLRDHUP)) != 0;
}

void Socket::end_sending() { shutdown(fd_, SHUT_WR); }

void Socket::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Socket::reset() {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close();
}

ScriptedUpstream::ScriptedUpstream(Script script) : script_(std::move(script)) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  listen(fd_, 128);
  socklen_t bytes = sizeof address;
  getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &bytes);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedUpstream::~ScriptedUpstream() {
  ended_ = true;
  shutdown(fd_, SHUT_RDWR);
  acceptor_.join();
  ::close(fd_);
  for (std::thread& thread : threads_) thread.join();
}

void ScriptedUpstream::accept_all() {
  while (!ended_) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const int number = connections_++;
    const std::scoped_lock lock(mutex_);
    threads_.emplace_back([this, fd, number] {
      Socket client(fd);
      script_(client, number);
    });
  }
}

}  // namespace sluice::test
