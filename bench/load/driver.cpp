#include "driver.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <utility>

namespace sluice::load {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

std::int64_t monotonic_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

bool parse_address(std::string_view text, sockaddr_in& out) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  out = {};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  return error == std::errc{} && end == text.data() + text.size() &&
         inet_pton(AF_INET, std::string(text.substr(0, colon)).c_str(), &out.sin_addr) == 1;
}

}  // namespace

Driver::Driver(Options options) : options_(std::move(options)) { buffer_.resize(kBufferBytes); }

Driver::~Driver() {
  for (const auto& client : clients_) {
    if (client->fd >= 0) ::close(client->fd);
  }
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
}

std::string Driver::request_text(std::size_t key) const {
  std::string body = fmt::format(
      R"({{"model":"{}",{}"max_tokens":256,"messages":[{{"role":"user","content":")",
      options_.model,
      options_.stream ? R"("stream":true,"stream_options":{"include_usage":true},)" : "");
  constexpr std::string_view kWords = "Say hello to the world and to all who live in it. ";
  while (body.size() + 4 < options_.body_bytes) {
    body += kWords.substr(0, std::min(kWords.size(), options_.body_bytes - body.size() - 4));
  }
  body += R"("}]})";
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAuthorization: Bearer "
      "{}\r\n"
      "Content-Length: {}\r\n\r\n{}",
      options_.path, options_.target, options_.keys[key], body.size(), body);
}

std::string Driver::run() {
  sockaddr_in address{};
  if (!parse_address(options_.target, address)) return "the target must be ADDR:PORT (IPv4)";
  if (!options_.ca_file.empty()) {
    auto context = tls::ClientContext::load(options_.ca_file);
    if (!context) return context.error();
    tls_.emplace(std::move(*context));
  }
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  for (std::size_t i = 0; i < options_.keys.size(); ++i) requests_.push_back(request_text(i));
  const std::int64_t start_ns = now_ns_ = monotonic_ns();
  for (int i = 0; i < options_.connections; ++i) {
    auto client = std::make_unique<Client>();
    client->index = static_cast<std::size_t>(i);
    waiting_.emplace(start_ns + options_.ramp_ns * i / options_.connections, client.get());
    clients_.push_back(std::move(client));
  }
  measure_from_ns_ = start_ns + options_.ramp_ns + options_.warmup_ns;
  const std::int64_t stop_ns = measure_from_ns_ + options_.seconds_ns;
  prctl(PR_SET_TIMERSLACK, 1UL);  // a request that is due is sent then and not 50 µs later
  std::array<epoll_event, 512> events{};
  while (now_ns_ < stop_ns && (options_.requests == 0 || results_.good < options_.requests)) {
    start_due();
    send_due();
    const std::int64_t wait = options_.spin ? 0 : wait_ns();
    const timespec timeout{.tv_sec = wait / 1'000'000'000, .tv_nsec = wait % 1'000'000'000};
    const int count =
        epoll_pwait2(epoll_fd_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    now_ns_ = monotonic_ns();
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      Client& client = *static_cast<Client*>(event.data.ptr);
      if (client.fd < 0) continue;
      if ((event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) read(client);
      if (client.fd >= 0 && (event.events & EPOLLOUT) != 0) flush(client);
    }
  }
  results_.seconds =
      static_cast<double>(std::max<std::int64_t>(0, now_ns_ - measure_from_ns_)) / 1e9;
  return {};
}

std::int64_t Driver::period_ns() const {
  return static_cast<std::int64_t>(1e9 * options_.connections / options_.rate);
}

std::int64_t Driver::wait_ns() const {
  std::int64_t until_ns = now_ns_ + 10'000'000;
  if (!waiting_.empty()) until_ns = now_ns_ + (options_.fresh ? 0 : 1'000'000);
  if (!resting_.empty()) until_ns = std::min(until_ns, resting_.begin()->first);
  return std::max<std::int64_t>(0, until_ns - monotonic_ns());
}

void Driver::send_due() {
  const std::int64_t now_ns = resting_.empty() ? 0 : monotonic_ns();
  while (!resting_.empty() && resting_.begin()->first <= now_ns) {
    Client& client = *resting_.begin()->second;
    resting_.erase(resting_.begin());
    client.due_ns = options_.rate > 0 ? client.due_ns + period_ns() : 0;
    send_request(client);
    flush(client);
  }
}

void Driver::rest(Client& client, std::int64_t until_ns) {
  client.due_ns = until_ns;
  resting_.emplace(until_ns, &client);
}

/// At once, or when it is due.
void Driver::send_next(Client& client) {
  if (options_.rate <= 0) {
    send_request(client);
    return flush(client);
  }
  if (client.due_ns == 0) {  // not all at the same moment
    const auto share = static_cast<std::int64_t>(client.index + 1);
    client.due_ns = now_ns_ + period_ns() * share / options_.connections;
  }
  if (client.due_ns > now_ns_) return rest(client, client.due_ns);
  send_request(client);
  client.sent_ns = client.due_ns;  // it has waited for the answer before it: that is latency too
  client.due_ns += period_ns();
  flush(client);
}

void Driver::start_due() {
  // One that cannot connect is put back, for later.
  while (!waiting_.empty() && waiting_.begin()->first <= now_ns_) {
    Client& client = *waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    connect(client);
  }
}

void Driver::connect(Client& client) {
  sockaddr_in address{};
  if (!parse_address(options_.target, address)) return;
  client.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (options_.kernel_time) {
    ::setsockopt(client.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  }
  if (::connect(client.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    ++results_.connect_errors;
    return drop(client);
  }
  epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.ptr = &client}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, client.fd, &event);
  client.writing = true;
  client.connecting = true;
  client.out.clear();
  client.out_at = 0;
}

bool Driver::start_tls(Client& client) {
  auto engine = tls::Engine::client(*tls_, options_.tls_name);
  if (!engine) return false;
  client.tls.emplace(std::move(*engine));
  std::string nothing;
  return client.tls->receive({}, nothing, client.out);
}

/// Queues the next request; flush() writes it.
void Driver::send_request(Client& client) {
  const std::size_t key = options_.key_per_connection ? client.index : next_key_++;
  const std::string& request = requests_[key % requests_.size()];
  if (client.tls) {
    client.tls->send(request, client.out);
  } else {
    client.out = request;
    client.out_at = 0;
  }
  client.reader.reset();
  client.sent_ns = monotonic_ns();
  client.next_number = 0;
  client.first_seen = false;
}

void Driver::flush(Client& client) {
  if (client.connecting) {
    client.connecting = false;
    if (!tls_) {
      send_request(client);
    } else if (!start_tls(client)) {
      ++results_.connect_errors;
      return drop(client);
    }
  }
  while (client.out_at < client.out.size()) {
    const ssize_t sent = ::send(client.fd, client.out.data() + client.out_at,
                                client.out.size() - client.out_at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) return;  // shows as an error event
    client.out_at += static_cast<std::size_t>(sent);
  }
  if (client.out_at == client.out.size()) {
    client.out.clear();
    client.out_at = 0;
  }
  const bool wants = client.out_at < client.out.size();
  if (wants == client.writing) return;
  client.writing = wants;
  epoll_event event{.events = EPOLLIN | (wants ? std::uint32_t{EPOLLOUT} : 0u),
                    .data = {.ptr = &client}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, client.fd, &event);
}

// Reads into buffer_; `at_ns` is when the last of it came.
std::int64_t Driver::receive(int fd, std::int64_t& at_ns) {
  iovec piece{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(timespec))> control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = options_.kernel_time ? control.size() : 0;
  const ssize_t count = ::recvmsg(fd, &message, 0);
  at_ns = monotonic_ns();
  const cmsghdr* const stamp = count > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (stamp != nullptr && stamp->cmsg_type == SO_TIMESTAMPNS) {
    timespec came{};
    std::memcpy(&came, CMSG_DATA(stamp), sizeof came);
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    at_ns -= (now.tv_sec - came.tv_sec) * 1'000'000'000 + now.tv_nsec - came.tv_nsec;
  }
  return count;
}

void Driver::read(Client& client) {
  std::int64_t at_ns = 0;
  const std::int64_t count = receive(client.fd, at_ns);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    if (client.connecting) {
      ++results_.connect_errors;
    } else if (count == 0 && client.reader.state() == AnswerReader::State::body &&
               client.reader.until_close()) {
      return answered(client);
    } else {
      ++results_.closed_early;
    }
    return drop(client);
  }
  now_ns_ = at_ns;
  const std::string_view bytes(buffer_.data(), static_cast<std::size_t>(count));
  if (!client.tls) return received(client, bytes);
  const bool was_open = client.tls->open();
  std::string plaintext;
  if (!client.tls->receive(bytes, plaintext, client.out)) {
    ++results_.malformed;
    return drop(client);
  }
  if (!was_open && client.tls->open()) send_request(client);
  flush(client);
  if (client.fd >= 0 && !plaintext.empty()) received(client, plaintext);
}

void Driver::received(Client& client, std::string_view bytes) {
  std::uint64_t stamps = 0;
  const auto on_stamp = [&](std::int64_t sent_ns, std::uint64_t number) {
    if (!options_.stream) return;
    ++stamps;
    if (number < client.next_number) {
      ++results_.repeated;
    } else {
      results_.lost += number - client.next_number;
      client.next_number = number + 1;
    }
    const bool first = !std::exchange(client.first_seen, true);
    if (!measuring()) return;
    if (first) results_.first.add(now_ns_ - client.sent_ns);
    ++results_.chunks;
    results_.delay.add(now_ns_ - sent_ns);
  };
  const auto state = client.reader.feed(bytes, on_stamp);
  if (stamps > 1 && measuring()) results_.merged += stamps - 1;
  if (!options_.stream && !client.first_seen && measuring()) {
    client.first_seen = true;
    results_.first.add(now_ns_ - client.sent_ns);
  }
  if (state == AnswerReader::State::bad) {
    ++results_.malformed;
    drop(client);
  } else if (state == AnswerReader::State::done) {
    answered(client);
  } else if (options_.abort_after > 0 && client.next_number >= options_.abort_after) {
    ++results_.aborted;
    drop(client);
  }
}

void Driver::answered(Client& client) {
  const bool good = client.reader.status() == 200;
  if (!good) {
    ++results_.statuses[client.reader.status()];
    if (measuring()) results_.refused.add(now_ns_ - client.sent_ns);
  } else {
    if (options_.chunks > client.next_number) results_.lost += options_.chunks - client.next_number;
    if (measuring()) {
      ++results_.good;
      results_.latency.add(now_ns_ - client.sent_ns);
    }
  }
  if (client.reader.closes() || client.reader.until_close()) return drop(client);
  if (!good && options_.backoff_ns == 0) return drop(client);  // a refusing server is not hammered
  if (!good) {
    // As the SDKs do, three to five quarters of the time: not all at the same moment.
    const auto spread = static_cast<std::int64_t>((client.index * 37) % 64);
    const std::int64_t rested_ns = now_ns_ + options_.backoff_ns * (96 + spread) / 128;
    // With a rate no sooner than its next one is due; what was due in the meantime is not made up.
    return rest(client, std::max(rested_ns, client.due_ns));
  }
  if (options_.fresh) return drop(client, 0);
  send_next(client);
}

void Driver::drop(Client& client, std::int64_t again_in_ns) {
  if (client.fd >= 0) ::close(client.fd);
  client.fd = -1;
  client.connecting = false;
  client.tls.reset();
  client.out.clear();
  client.out_at = 0;
  client.reader.reset();
  resting_.erase({client.due_ns, &client});
  client.due_ns = 0;
  waiting_.emplace(now_ns_ + again_in_ns, &client);
}

}  // namespace sluice::load
