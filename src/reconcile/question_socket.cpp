#include "question_socket.hpp"

#include <poll.h>
#include <simdjson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::reconcile {

Question parse_question(std::string_view line) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(simdjson::padded_string(line)).get(object) != simdjson::SUCCESS) return {};
  std::string_view ask;
  std::uint64_t id = 0;
  std::string_view request;
  const bool has_id = object["id"].get(id) == simdjson::SUCCESS;
  const bool has_request = object["request"].get(request) == simdjson::SUCCESS;
  const std::size_t members = 1U + (has_id ? 1U : 0U) + (has_request ? 1U : 0U);
  if (object["ask"].get(ask) != simdjson::SUCCESS || object.size() != members) return {};
  if (ask == "lag" && members == 1) return {Question::Kind::lag, 0, {}};
  if (ask == "wallet" && has_id && !has_request) return {Question::Kind::wallet, id, {}};
  if (ask == "request" && has_id && has_request)
    return {Question::Kind::request, id, std::string(request)};
  return {};
}

Result<std::unique_ptr<QuestionSocket>> QuestionSocket::open(const std::string& path, Answer answer,
                                                             std::string& message) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    message = path + " is too long for a socket's name";
    return fail(Errc::io);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  std::unique_ptr<QuestionSocket> out(new QuestionSocket);
  out->answer_ = std::move(answer);
  out->fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  // The environment lock is held: a socket that is there belongs to nobody.
  unlink(path.c_str());
  const bool bound =
      out->fd_ >= 0 && bind(out->fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (!bound || chmod(path.c_str(), 0660) != 0 ||
      listen(out->fd_, static_cast<int>(kMostClients)) != 0) {
    message = "cannot listen on " + path + ": " + std::strerror(errno);
    return fail(Errc::io, Source::self, Retry::no, errno);
  }
  out->path_ = path;
  return out;
}

QuestionSocket::~QuestionSocket() {
  for (const Client& client : clients_) close(client.fd);
  if (fd_ >= 0) close(fd_);
  if (!path_.empty()) unlink(path_.c_str());
}

void QuestionSocket::add_to(std::vector<pollfd>& fds) const {
  fds.push_back({fd_, POLLIN, 0});
  for (const Client& client : clients_) fds.push_back({client.fd, POLLIN, 0});
}

bool QuestionSocket::serve_client(Client& client) {
  char bytes[kMostLineBytes];
  const ssize_t got = recv(client.fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  client.received.append(bytes, static_cast<std::size_t>(got));
  for (std::size_t end = 0; (end = client.received.find('\n')) != std::string::npos;) {
    const std::string answer =
        answer_(parse_question(std::string_view(client.received).substr(0, end))) + "\n";
    client.received.erase(0, end + 1);
    // An answer fits into any socket buffer; a client that does not read is dropped.
    if (send(client.fd, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL) !=
        static_cast<ssize_t>(answer.size())) {
      return false;
    }
  }
  return client.received.size() < kMostLineBytes;
}

void QuestionSocket::serve() {
  for (int fd = -1; (fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    // The newest wins: one who asked and forgot to hang up must not lock others out.
    if (clients_.size() == kMostClients) {
      close(clients_.front().fd);
      clients_.pop_front();
    }
    clients_.push_back({fd, {}});
  }
  for (auto client = clients_.begin(); client != clients_.end();) {
    if (serve_client(*client)) {
      ++client;
      continue;
    }
    close(client->fd);
    client = clients_.erase(client);
  }
}

}  // namespace sluice::reconcile
