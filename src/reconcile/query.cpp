#include "sluice/reconcile/query.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>

namespace sluice::reconcile {
namespace {

constexpr std::size_t kAnswerMost = 1 << 20;

/// A whole answer, or nothing.
std::optional<std::string> ask(const std::string& state_directory, const std::string& question) {
  const std::string path = socket_path(state_directory);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  const timeval timeout{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  std::optional<std::string> answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, question.data(), question.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(question.size())) {
    std::string text;
    char buffer[4096];
    for (ssize_t bytes = 0; text.size() < kAnswerMost && (bytes = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(bytes));
    }
    // An answer ends with an empty line; without it the reconciler died half way.
    if (text == "\n" || text.ends_with("\n\n")) answer = std::move(text);
  }
  ::close(fd);
  return answer;
}

/// "name=value" parts of one line.
std::map<std::string, std::string, std::less<>> parts_of(std::string_view line) {
  std::map<std::string, std::string, std::less<>> out;
  while (!line.empty()) {
    const std::size_t space = line.find(' ');
    const std::string_view part = line.substr(0, space);
    line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
    const std::size_t equals = part.find('=');
    if (equals != std::string_view::npos) out.emplace(part.substr(0, equals), part.substr(equals + 1));
  }
  return out;
}

std::int64_t number(const std::map<std::string, std::string, std::less<>>& parts, std::string_view name) {
  const auto found = parts.find(name);
  return found == parts.end() ? 0 : std::strtoll(found->second.c_str(), nullptr, 10);
}

}  // namespace

std::string socket_path(const std::string& state_directory) { return state_directory + "/reconciler.sock"; }

bool is_running(const std::string& state_directory) { return ask(state_directory, "ping\n").has_value(); }

std::optional<LiveWallet> query_wallet(const std::string& state_directory, std::uint64_t wallet_id) {
  const auto answer = ask(state_directory, "wallet " + std::to_string(wallet_id) + "\n");
  if (!answer) return std::nullopt;
  LiveWallet out;
  bool found = false;
  std::string_view rest = *answer;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const auto parts = parts_of(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    if (parts.contains("wallet")) {
      found = true;
      out.available = number(parts, "available");
      out.held = number(parts, "held");
      out.charged = number(parts, "charged");
      out.excess = number(parts, "excess");
    } else if (parts.contains("hold")) {
      LiveHold hold;
      hold.slot = static_cast<std::uint32_t>(number(parts, "slot"));
      hold.seq = static_cast<std::uint64_t>(number(parts, "hold"));
      hold.key_id = static_cast<std::uint64_t>(number(parts, "key"));
      hold.amount = number(parts, "amount");
      hold.opened_ns = number(parts, "opened");
      hold.request_id = parts.contains("request") ? parts.find("request")->second : std::string();
      out.holds.push_back(std::move(hold));
    }
  }
  if (!found) return std::nullopt;
  return out;
}

}  // namespace sluice::reconcile
