#include "sluice/reconcile/query.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <string_view>

namespace sluice::reconcile {
namespace {

// Sends one line and reads one; nothing when nobody answers within a second.
std::optional<std::string> ask(const std::string& state_directory, std::string question) {
  const std::string path = state_directory + "/reconciler.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  const timeval patience{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  question += '\n';
  std::string answer;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      send(fd, question.data(), question.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(question.size())) {
    char buffer[1024];
    while (answer.find('\n') == std::string::npos) {
      const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      answer.append(buffer, static_cast<std::size_t>(got));
    }
  }
  close(fd);
  if (answer.find('\n') == std::string::npos) return std::nullopt;
  return answer;
}

// A number of the flat JSON object that the reconciler answers with.
std::optional<std::int64_t> number_of(std::string_view answer, std::string_view name) {
  const std::string mark = "\"" + std::string(name) + "\":";
  const std::size_t at = answer.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = answer.substr(at + mark.size());
  std::int64_t value = 0;
  if (std::from_chars(rest.data(), rest.data() + rest.size(), value).ec != std::errc())
    return std::nullopt;
  return value;
}

}  // namespace

bool is_running(const std::string& state_directory) {
  return ask(state_directory, R"({"ask":"lag"})").has_value();
}

std::optional<LiveWallet> query_wallet(const std::string& state_directory,
                                       std::uint64_t wallet_id) {
  const auto answer =
      ask(state_directory, R"({"ask":"wallet","id":)" + std::to_string(wallet_id) + "}");
  if (!answer) return std::nullopt;
  const auto available = number_of(*answer, "available"), held = number_of(*answer, "held");
  const auto charged = number_of(*answer, "charged"), excess = number_of(*answer, "excess");
  // A refusal has none of them.
  if (!available || !held || !charged || !excess) return std::nullopt;
  return LiveWallet{.available = *available, .held = *held, .charged = *charged, .excess = *excess};
}

}  // namespace sluice::reconcile
