// sluice-storm: clients that mean harm, many at once, each slow in its own way; prints one JSON
// object of what became of them.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view kUsage =
    "usage: sluice-storm idle|head|body|read|hello --target ADDR:PORT [options]\n"
    "  idle   connects and says nothing          head   a line of a request's head at a time\n"
    "  body   a byte of a request's body         read   asks for a stream, reads a few bytes\n"
    "  hello  begins a TLS handshake and stops\n"
    "  --connections N  at once, default 100     --seconds S    default 10\n"
    "  --ramp S         opens them over S, default 1\n"
    "  --interval S     between two steps of one connection, default 1\n"
    "  --read-bytes N   of one step, default 1   --body-bytes N that are promised, default 30000\n"
    "  --key K --model M --path P                of the request\n"
    "  --again yes      connects anew when it is cut off\n";

enum class Kind : std::uint8_t { idle, head, body, read, hello };

struct Options {
  Kind kind = Kind::idle;
  sockaddr_in target{};
  int connections = 100;
  double seconds = 10;
  double ramp = 1;
  double interval = 1;
  std::size_t read_bytes = 1;
  std::size_t body_bytes = 30'000;
  std::string key = "sk-storm";
  std::string model = "m";
  std::string path = "/v1/chat/completions";
  bool again = false;
};

struct Attacker {
  int fd = -1;
  double due = 0;
  std::uint64_t steps = 0;
  bool over = false;
  bool answered = false;
};

struct Seen {
  std::uint64_t connected = 0;
  std::uint64_t refused = 0;  ///< connects
  std::uint64_t ended = 0;    ///< by the other side
  std::uint64_t answers = 0;  ///< connections that were told something
  std::uint64_t bytes = 0;
};

volatile std::sig_atomic_t asked_to_stop = 0;

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

bool parse_target(const std::string& text, sockaddr_in& out) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  return inet_pton(AF_INET, text.substr(0, colon).c_str(), &out.sin_addr) == 1;
}

bool take(std::string_view name, const std::string& value, Options& options) {
  if (name == "--target") return parse_target(value, options.target);
  if (name == "--key") return options.key = value, true;
  if (name == "--model") return options.model = value, true;
  if (name == "--path") return options.path = value, true;
  if (name == "--again") return options.again = value == "yes", true;
  double amount = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), amount);
  if (error != std::errc{} || end != value.data() + value.size() || amount < 0) return false;
  if (name == "--connections") return options.connections = static_cast<int>(amount), true;
  if (name == "--seconds") return options.seconds = amount, true;
  if (name == "--ramp") return options.ramp = amount, true;
  if (name == "--interval") return options.interval = amount, true;
  if (name == "--read-bytes") return options.read_bytes = static_cast<std::size_t>(amount), true;
  if (name == "--body-bytes") return options.body_bytes = static_cast<std::size_t>(amount), true;
  return false;
}

std::string head_of(const Options& options, std::size_t body_bytes) {
  return "POST " + options.path + " HTTP/1.1\r\nHost: storm\r\nAuthorization: Bearer " +
         options.key +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body_bytes) +
         "\r\n\r\n";
}

/// What the n-th step sends.
std::string words(const Options& options, std::uint64_t step) {
  switch (options.kind) {
    case Kind::idle:
      break;
    case Kind::head:
      return step == 0 ? "POST " + options.path + " HTTP/1.1\r\nHost: storm\r\n"
                       : "X-" + std::to_string(step) + ": a\r\n";
    case Kind::body:
      return step == 0 ? head_of(options, options.body_bytes) : "x";
    case Kind::read: {
      const std::string body = R"({"model":")" + options.model +
                               R"(","stream":true,"messages":[{"role":"user","content":"hi"}]})";
      return step == 0 ? head_of(options, body.size()) + body : "";
    }
    case Kind::hello:
      return step == 0 ? std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9) : "";
  }
  return {};
}

class Storm {
 public:
  explicit Storm(Options options) : options_(std::move(options)) {}

  void run() {
    const double begun = now();
    std::vector<Attacker> attackers(static_cast<std::size_t>(options_.connections));
    for (std::size_t i = 0; i < attackers.size(); ++i) {
      attackers[i].due = begun + options_.ramp * static_cast<double>(i) / options_.connections;
    }
    while (now() < begun + options_.seconds && asked_to_stop == 0) {
      const double at = now();
      for (Attacker& attacker : attackers) {
        if (attacker.over || attacker.due > at) continue;
        attacker.due = at + options_.interval;
        act(attacker);
      }
      usleep(5000);
    }
    open_at_end_ = std::count_if(attackers.begin(), attackers.end(),
                                 [](const Attacker& attacker) { return attacker.fd >= 0; });
  }

  void print() const {
    std::printf(
        "{\"connected\":%llu,\"refused\":%llu,\"ended\":%llu,\"answers\":%llu,\"bytes\":%llu,"
        "\"open\":%lld}\n",
        static_cast<unsigned long long>(seen_.connected),
        static_cast<unsigned long long>(seen_.refused),
        static_cast<unsigned long long>(seen_.ended),
        static_cast<unsigned long long>(seen_.answers),
        static_cast<unsigned long long>(seen_.bytes), static_cast<long long>(open_at_end_));
  }

 private:
  void act(Attacker& attacker) {
    if (attacker.fd < 0) return connect(attacker);
    if (!receive(attacker)) return;
    const std::string text = words(options_, attacker.steps++);
    if (text.empty()) return;
    const ssize_t sent = ::send(attacker.fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) lose(attacker);
  }

  void connect(Attacker& attacker) {
    attacker.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (options_.kind == Kind::read) {
      const int bytes = 4096;  // as little as can be on its way
      setsockopt(attacker.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    if (::connect(attacker.fd, reinterpret_cast<const sockaddr*>(&options_.target),
                  sizeof options_.target) != 0) {
      ++seen_.refused;
      ::close(attacker.fd);
      attacker.fd = -1;
      return;
    }
    ++seen_.connected;
    attacker.steps = 0;
    attacker.answered = false;
    attacker.due = 0;
  }

  /// False: the other side has ended it.
  bool receive(Attacker& attacker) {
    std::array<char, 4096> buffer;
    const std::size_t most =
        options_.kind == Kind::read ? std::min(options_.read_bytes, buffer.size()) : buffer.size();
    const ssize_t got = ::recv(attacker.fd, buffer.data(), most, MSG_DONTWAIT);
    if (got > 0) {
      seen_.bytes += static_cast<std::uint64_t>(got);
      if (!attacker.answered) ++seen_.answers;
      attacker.answered = true;
    } else if (got == 0 || errno != EAGAIN) {
      lose(attacker);
      return false;
    }
    return true;
  }

  void lose(Attacker& attacker) {
    ++seen_.ended;
    ::close(attacker.fd);
    attacker.fd = -1;
    attacker.over = !options_.again;
  }

  Options options_;
  Seen seen_;
  std::int64_t open_at_end_ = 0;
};

bool parse_kind(std::string_view text, Kind& out) {
  constexpr std::array<std::string_view, 5> kNames{"idle", "head", "body", "read", "hello"};
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) return false;
  out = static_cast<Kind>(found - kNames.begin());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  bool understood = argc > 1 && argc % 2 == 0 && parse_kind(argv[1], options.kind);
  for (int i = 2; understood && i < argc; i += 2) understood = take(argv[i], argv[i + 1], options);
  if (!understood || options.target.sin_port == 0) {
    std::fputs(kUsage.data(), stderr);
    return 2;
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  std::signal(SIGTERM, [](int) { asked_to_stop = 1; });
  Storm storm(std::move(options));
  storm.run();
  storm.print();
  return 0;
}
