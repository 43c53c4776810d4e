#include "server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

namespace sluice::mock {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr std::size_t kMaxEarlyBytes = kMaxBodyBytes + kMaxHeadBytes;
constexpr int kBacklog = 4096;
constexpr std::int64_t kLogFlushNs = 100'000'000;
constexpr std::uint64_t kListenerKey = std::uint64_t{1} << 63;
constexpr std::uint64_t kSignalKey = ~std::uint64_t{0};

std::int64_t monotonic_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

std::uint64_t key_of(const Connection& connection) {
  return std::uint64_t{connection.generation & 0x7fffffff} << 32 |
         static_cast<std::uint32_t>(connection.fd);
}

bool parse_address(std::string_view text, sockaddr_in& out) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  out = {};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  return inet_pton(AF_INET, std::string(text.substr(0, colon)).c_str(), &out.sin_addr) == 1;
}

}  // namespace

Server::Server(Options options)
    : options_(std::move(options)), recorder_(options_.keep), wheel_(monotonic_ns()) {
  read_buffer_.resize(kReadBytes);
}

Server::~Server() {
  for (auto& connection : connections_) {
    if (connection) wheel_.cancel(*connection);
  }
  for (const Listener& listener : listeners_) ::close(listener.fd);
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
  if (signal_fd_ >= 0) ::close(signal_fd_);
}

std::string Server::open() {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (!options_.certificate_file.empty()) {
    auto context =
        tls::ServerContext::load(options_.certificate_file, options_.certificate_key_file);
    if (!context) return context.error();
    tls_.emplace(std::move(*context));
  }
  for (const Listen& listen : options_.listeners) {
    if (auto problem = open_listener(listen); !problem.empty()) return problem;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kSignalKey}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, signal_fd_, &event);
  return {};
}

std::string Server::open_listener(const Listen& listen) {
  if (listen.kind == ListenerKind::tls && !tls_) return "--listen-tls needs --cert and --cert-key";
  sockaddr_in address{};
  if (!parse_address(listen.address, address)) return "not an ADDR:PORT: " + listen.address;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socklen_t size = sizeof address;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, kBacklog) != 0) {
    const int error = errno;
    ::close(fd);
    return fmt::format("cannot listen on {}: {}", listen.address, std::strerror(error));
  }
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  std::array<char, INET_ADDRSTRLEN> name{};
  inet_ntop(AF_INET, &address.sin_addr, name.data(), name.size());
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kListenerKey | listeners_.size()}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  listeners_.push_back(
      {fd, listen.kind, fmt::format("{}:{}", name.data(), ntohs(address.sin_port))});
  return {};
}

std::string Server::addresses_json() const {
  const auto list = [this](ListenerKind kind) {
    std::string out;
    for (const Listener& listener : listeners_) {
      if (listener.kind == kind)
        out += fmt::format("{}\"{}\"", out.empty() ? "" : ",", listener.address);
    }
    return out;
  };
  return fmt::format(R"({{"http":[{}],"https":[{}],"control":[{}]}})", list(ListenerKind::plain),
                     list(ListenerKind::tls), list(ListenerKind::control));
}

void Server::run() {
  std::array<epoll_event, 512> events{};
  std::int64_t log_flushed_ns = monotonic_ns();
  bool running = true;
  while (running) {
    now_ns_ = monotonic_ns();
    const std::int64_t wait_ns = wheel_.wait_ns(now_ns_);
    const std::int64_t bounded_ns = wait_ns < 0 || wait_ns > kLogFlushNs ? kLogFlushNs : wait_ns;
    const timespec wait{.tv_sec = 0, .tv_nsec = bounded_ns};
    const int count =
        epoll_pwait2(epoll_fd_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
    now_ns_ = monotonic_ns();
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const std::uint64_t key = event.data.u64;
      if (key == kSignalKey) {
        running = false;
      } else if ((key & kListenerKey) != 0) {
        accept_all(listeners_[key & ~kListenerKey]);
      } else {
        on_event(key, event.events);
      }
    }
    wheel_.advance(now_ns_, [this](Timer& timer) { on_timer(static_cast<Connection&>(timer)); });
    closed_.clear();
    if (now_ns_ - log_flushed_ns > kLogFlushNs) {
      recorder_.flush_log();
      log_flushed_ns = now_ns_;
    }
  }
  recorder_.flush_log();
}

void Server::accept_all(const Listener& listener) {
  for (int i = 0; i < 256; ++i) {
    const int fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE) ::usleep(1000);  // else the loop would spin on it
      return;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto connection = std::make_unique<Connection>();
    connection->fd = fd;
    connection->kind = listener.kind;
    connection->generation = ++generation_ & 0x7fffffff;
    connection->number = ++accepted_;
    if (listener.kind == ListenerKind::tls) {
      auto engine = tls::Engine::server(*tls_);
      if (!engine) {
        ::close(fd);
        continue;
      }
      connection->tls.emplace(std::move(*engine));
    }
    epoll_event event{.events = EPOLLIN | EPOLLRDHUP, .data = {.u64 = key_of(*connection)}};
    epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
    const auto index = static_cast<std::size_t>(fd);
    if (connections_.size() <= index) connections_.resize(index + 1);
    connections_[index] = std::move(connection);
  }
}

Connection* Server::find(Handle handle) {
  const auto index = static_cast<std::size_t>(handle.fd);
  if (index >= connections_.size() || !connections_[index]) return nullptr;
  Connection* const connection = connections_[index].get();
  return connection->generation == handle.generation ? connection : nullptr;
}

void Server::on_event(std::uint64_t key, std::uint32_t events) {
  const Handle handle{static_cast<int>(key & 0xffffffff), static_cast<std::uint32_t>(key >> 32)};
  Connection* const connection = find(handle);
  if (connection == nullptr) return;
  if ((events & EPOLLIN) != 0) read_ready(*connection);
  if (find(handle) == nullptr) return;
  if ((events & EPOLLOUT) != 0) write_ready(*connection);
  if (find(handle) == nullptr) return;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) gone(*connection);
}

void Server::read_ready(Connection& connection) {
  const ssize_t count = ::recv(connection.fd, read_buffer_.data(), read_buffer_.size(), 0);
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
    gone(connection);
    return;
  }
  if (count < 0) return;
  const std::string_view bytes(read_buffer_.data(), static_cast<std::size_t>(count));
  if (!connection.tls) return received(connection, bytes);
  std::string plaintext;
  cipher_.clear();
  const bool good = connection.tls->receive(bytes, plaintext, cipher_);
  if (!cipher_.empty()) send_raw(connection, cipher_);
  if (!good) return gone(connection);
  if (!plaintext.empty()) received(connection, plaintext);
}

void Server::received(Connection& connection, std::string_view bytes) {
  if (connection.phase == Phase::reading && connection.in.empty()) {
    const Handle handle{connection.fd, connection.generation};
    const std::size_t used = process_one(connection, bytes);  // the common case: no copy
    if (find(handle) == nullptr) return;
    bytes.remove_prefix(used);
    if (bytes.empty()) return;
  }
  if (connection.in.size() + bytes.size() > kMaxEarlyBytes) return gone(connection);
  connection.in.append(bytes);
  process(connection);
}

void Server::send_bytes(Connection& connection, std::string_view bytes) {
  if (!connection.tls) return send_raw(connection, bytes);
  cipher_.clear();
  connection.tls->send(bytes, cipher_);
  send_raw(connection, cipher_);
}

void Server::send_scratch(Connection& connection) {
  if (!scratch_.empty()) send_bytes(connection, scratch_);
  scratch_.clear();
}

void Server::send_raw(Connection& connection, std::string_view bytes) {
  if (connection.out.empty() && connection.split_bytes == 0) {
    const ssize_t sent = ::send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    if (bytes.empty()) return;
    // A broken connection shows as EPOLLHUP or EPOLLERR; until then the bytes wait.
  }
  connection.out.append(bytes);
  watch(connection, true);
}

bool Server::flush(Connection& connection) {
  while (connection.out_at < connection.out.size()) {
    std::size_t size = connection.out.size() - connection.out_at;
    if (connection.split_bytes > 0) size = std::min(size, connection.split_bytes);
    const ssize_t sent =
        ::send(connection.fd, connection.out.data() + connection.out_at, size, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    connection.out_at += static_cast<std::size_t>(sent);
    if (connection.split_bytes > 0)
      break;  // the next piece at the next turn, as a segment of its own
  }
  if (connection.out_at == connection.out.size()) {
    connection.out.clear();
    connection.out_at = 0;
  }
  return true;
}

void Server::write_ready(Connection& connection) {
  if (!flush(connection)) return gone(connection);
  if (!connection.out.empty()) return;
  watch(connection, false);
  if (connection.close_after_write) return close_connection(connection);
  const Handle handle{connection.fd, connection.generation};
  if (connection.phase == Phase::streaming) pump(connection);
  next_request(handle);
}

void Server::watch(Connection& connection, bool writable) {
  if (connection.wants_write == writable) return;
  connection.wants_write = writable;
  const std::uint32_t write_event = writable ? std::uint32_t{EPOLLOUT} : 0u;
  epoll_event event{.events = EPOLLIN | EPOLLRDHUP | write_event,
                    .data = {.u64 = key_of(connection)}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, connection.fd, &event);
}

void Server::gone(Connection& connection) {
  abort_exchange(connection);
  close_connection(connection);
}

void Server::close_connection(Connection& connection) {
  wheel_.cancel(connection);
  if (connection.reset_at_close) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  ::close(connection.fd);
  // Callers up the stack may still look at it: it is freed after the turn.
  closed_.push_back(std::move(connections_[static_cast<std::size_t>(connection.fd)]));
}

}  // namespace sluice::mock
