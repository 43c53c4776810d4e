#include "sluice/reconcile/query.hpp"

#include <rapidjson/reader.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <map>

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

// The numbers of a flat JSON object; anything else ends the parse.
struct AnswerReader : rapidjson::BaseReaderHandler<rapidjson::UTF8<>, AnswerReader> {
  std::string member;
  std::map<std::string, Nanos> numbers;

  bool Default() { return false; }
  bool StartObject() { return true; }
  bool EndObject(rapidjson::SizeType) { return true; }
  bool Key(const char* text, rapidjson::SizeType bytes, bool) {
    member.assign(text, bytes);
    return true;
  }
  bool Int64(std::int64_t value) {
    numbers[member] = value;
    return true;
  }
  bool Int(int value) { return Int64(value); }
  bool Uint(unsigned value) { return Int64(value); }
  bool Uint64(std::uint64_t value) { return Int64(static_cast<std::int64_t>(value)); }
};

}  // namespace

bool is_running(const std::string& state_directory) {
  return ask(state_directory, R"({"ask":"lag"})").has_value();
}

std::optional<LiveWallet> query_wallet(const std::string& state_directory, std::uint64_t wallet_id) {
  const auto answer =
      ask(state_directory, R"({"ask":"wallet","id":)" + std::to_string(wallet_id) + "}");
  if (!answer) return std::nullopt;
  AnswerReader numbers;
  rapidjson::StringStream stream(answer->c_str());
  rapidjson::Reader reader;
  // A refusal has a string where numbers are expected.
  if (!reader.Parse<rapidjson::kParseStopWhenDoneFlag>(stream, numbers)) return std::nullopt;
  return LiveWallet{.available = numbers.numbers["available"],
                    .held = numbers.numbers["held"],
                    .charged = numbers.numbers["charged"],
                    .excess = numbers.numbers["excess"]};
}

}  // namespace sluice::reconcile
