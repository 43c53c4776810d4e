#include "page_server.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sluice/http/request.hpp"
#include "sluice/http/status.hpp"
#include "sluice/http/writer.hpp"

namespace sluice::edge {
namespace {

constexpr std::size_t kVisitorsMost = 64;
constexpr TimeNs kPatienceNs = 5 * kSecond;

std::string answer(const Page& page) {
  std::array<char, 512> head;
  http::HeadWriter writer(head);
  writer.status_line(page.status);
  writer.field("content-type", page.content_type);
  writer.content_length(page.body.size());
  writer.connection_close();
  const Result<std::size_t> bytes = writer.finish();
  if (!bytes) return {};
  return std::string(head.data(), *bytes) + page.body;
}

// The answer fits a socket's buffer in practice; what does not is given up after the patience of
// one call.
void send_all(int fd, std::string_view text) {
  pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
  while (!text.empty()) {
    const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN || poll(&writable, 1, 200) <= 0) {
      return;
    }
  }
}

}  // namespace

PageServer::PageServer(int listening_fd, Render render)
    : fd_(listening_fd), render_(std::move(render)) {}

PageServer::~PageServer() {
  for (const Visitor& visitor : visitors_) close(visitor.fd);
  close(fd_);
}

void PageServer::add_polls(std::vector<pollfd>& polls) const {
  polls.push_back({.fd = fd_, .events = POLLIN, .revents = 0});
  for (const Visitor& visitor : visitors_) {
    polls.push_back({.fd = visitor.fd, .events = POLLIN, .revents = 0});
  }
}

void PageServer::accept_some(TimeNs monotonic_ns) {
  while (visitors_.size() < kVisitorsMost) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    visitors_.push_back({fd, monotonic_ns, {}});
  }
}

// True when the visitor is done with.
bool PageServer::serve(Visitor& visitor) {
  std::array<char, 4096> buffer;
  const ssize_t got = recv(visitor.fd, buffer.data(), buffer.size(), 0);
  if (got < 0) return errno != EAGAIN;
  if (got == 0) return true;
  visitor.request.append(buffer.data(), static_cast<std::size_t>(got));
  http::RequestParser parser;
  const auto status = parser.parse(visitor.request, http::Limits{});
  if (!status) {
    send_all(visitor.fd,
             answer({.status = http::status_of(status.error()), .body = "bad request\n"}));
    return true;
  }
  if (*status == http::HeadStatus::need_more) return false;
  const http::RequestHead head = parser.head(visitor.request);
  const bool reads = head.method() == http::Method::get || head.method() == http::Method::head;
  send_all(visitor.fd, reads ? answer(render_(head.path()))
                             : answer({.status = 405, .body = "method not allowed\n"}));
  return true;
}

void PageServer::run(const std::vector<pollfd>& polls, TimeNs monotonic_ns) {
  const auto is_ready = [&](int fd) {
    return std::any_of(polls.begin(), polls.end(),
                       [&](const pollfd& p) { return p.fd == fd && p.revents != 0; });
  };
  std::erase_if(visitors_, [&](Visitor& visitor) {
    const bool done =
        (is_ready(visitor.fd) && serve(visitor)) || monotonic_ns - visitor.since_ns > kPatienceNs;
    if (done) {
      shutdown(visitor.fd, SHUT_WR);
      close(visitor.fd);
    }
    return done;
  });
  if (is_ready(fd_)) accept_some(monotonic_ns);
}

}  // namespace sluice::edge
