// sluice up: runs the whole node on this host and keeps it running.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>

#include "child.hpp"
#include "sluice/base/ip_address.hpp"
#include "sluice/reconcile/query.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

constexpr TimeNs kReadyMost = 60 * kSecond;
constexpr TimeNs kStopMost = 15 * kSecond;

void say(const std::string& text) {
  std::printf("sluice: %s\n", text.c_str());
  std::fflush(stdout);
}

/// The program of this name beside this one.
std::string sibling(const std::string& name) {
  std::array<char, 4096> path{};
  const ssize_t bytes = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  const std::string own = bytes > 0 ? std::string(path.data(), static_cast<std::size_t>(bytes))
                                    : std::string("./sluice");
  return own.substr(0, own.rfind('/') + 1) + name;
}

/// Status of GET `path` at "ADDR:PORT", 0 when nobody answers within a second.
int http_status(const std::string& address, const std::string& path) {
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  auto ip = parse_ip(host);
  if (!ip || colon == std::string::npos) return 0;
  sockaddr_in6 target{};
  target.sin6_family = AF_INET6;
  target.sin6_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
  std::memcpy(&target.sin6_addr, ip->bytes.data(), ip->bytes.size());
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  const timeval timeout{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n\r\n";
  int status = 0;
  std::array<char, 64> answer{};
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size()) &&
      ::recv(fd, answer.data(), answer.size() - 1, MSG_WAITALL) > 12) {
    status = std::atoi(answer.data() + 9);  // after "HTTP/1.1 "
  }
  ::close(fd);
  return status;
}

class Node {
 public:
  Node(const app::Config& config, const std::string& config_file)
      : config_(config),
        reconciler_("reconciler", {sibling("sluice-reconciler"), "--config", config_file}),
        edge_("edge", {sibling("sluice-edge"), "--config", config_file}) {
    sigemptyset(&watched_);
    for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&watched_, number);
    sigprocmask(SIG_BLOCK, &watched_, nullptr);
  }

  Outcome<> run() {
    auto started = start();
    if (started) keep_running();
    stop();
    return started;
  }

 private:
  Outcome<> start() {
    if (auto started = reconciler_.start(); !started) return started;
    if (auto ready =
            wait_for(reconciler_, [&] { return reconcile::is_running(config_.state.directory); });
        !ready)
      return ready;
    say("reconciler is running, state in " + config_.state.directory);
    if (auto started = edge_.start(); !started) return started;
    if (auto ready = wait_for(
            edge_, [&] { return http_status(config_.edge.metrics_address, "/readyz") == 200; });
        !ready)
      return ready;
    for (const app::Listener& listener : config_.edge.listeners) {
      say(fmt::format("edge serves {}://{}",
                      listener.tls.certificate_file.empty() ? "http" : "https", listener.address));
    }
    say(fmt::format("metrics at http://{}/metrics", config_.edge.metrics_address));
    return {};
  }

  /// Until `ready`, the child's end, a stop signal or a minute.
  template <class Ready>
  Outcome<> wait_for(Child& child, Ready ready) {
    const TimeNs deadline_ns = system_clock().monotonic_ns() + kReadyMost;
    while (!ready()) {
      take_signal(20 * kMillisecond);
      if (!child.running())
        return problem(Errc::unavailable,
                       fmt::format("{} ended at start: {}", child.name(), child.last_end()));
      if (stopping_) return problem(Errc::cancelled, "stopped while starting");
      if (system_clock().monotonic_ns() > deadline_ns) {
        return problem(Errc::timed_out,
                       child.name() + " is not ready after 60 s: see its messages");
      }
    }
    return {};
  }

  void take_signal(TimeNs timeout_ns) {
    const timespec timeout{timeout_ns / kSecond, timeout_ns % kSecond};
    const int number = sigtimedwait(&watched_, nullptr, &timeout);
    if (number == SIGTERM || number == SIGINT) stopping_ = true;
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      for (Child* child : {&reconciler_, &edge_}) {
        if (child->pid() == pid) child->ended(status);
      }
    }
  }

  void keep_running() {
    while (!stopping_) {
      take_signal(100 * kMillisecond);
      for (Child* child : {&reconciler_, &edge_}) restart(*child);
    }
  }

  void restart(Child& child) {
    if (stopping_ || child.running()) return;
    if (told_of_ns_[&child] != child.restart_at_ns()) {
      told_of_ns_[&child] = child.restart_at_ns();
      say(fmt::format("{} died ({})", child.name(), child.last_end()));
    }
    if (system_clock().monotonic_ns() < child.restart_at_ns()) return;
    if (auto started = child.start(); started) {
      say(child.name() + " was started again");
    } else {
      say(started.error().text);
      child.ended(1 << 8);
    }
  }

  /// The edge first: what it still writes is drained by the reconciler.
  void stop() {
    stop_child(edge_, config_.timeouts.drain_ns + kStopMost);
    stop_child(reconciler_, kStopMost);
  }

  void stop_child(Child& child, TimeNs most_ns) {
    if (!child.running()) return;
    say("stopping " + child.name());
    child.signal(SIGTERM);
    const TimeNs deadline_ns = system_clock().monotonic_ns() + most_ns;
    while (child.running()) {
      take_signal(50 * kMillisecond);
      if (child.running() && system_clock().monotonic_ns() > deadline_ns) {
        say(child.name() + " did not stop in time and is killed");
        child.signal(SIGKILL);
      }
    }
    say(child.name() + " has stopped");
  }

  const app::Config& config_;
  Child reconciler_;
  Child edge_;
  sigset_t watched_{};
  bool stopping_ = false;
  std::map<const Child*, TimeNs> told_of_ns_;  ///< the death that was last spoken of
};

struct Arguments {
  std::string listen;
  std::string state;
};

Outcome<> up(Session& session, const Arguments& arguments) {
  // The children read the same configuration: what the command line changes reaches them by these
  // variables.
  if (!arguments.listen.empty()) ::setenv("SLUICE_LISTEN", arguments.listen.c_str(), 1);
  if (!arguments.state.empty()) ::setenv("SLUICE_STATE_DIRECTORY", arguments.state.c_str(), 1);
  auto config = session.config();
  if (!config) return std::unexpected(config.error());
  const app::Secrets& secrets = (*config)->secrets;
  auto made = control::create_missing_secrets(secrets.pepper_file, secrets.sealing_key_file,
                                              secrets.sealing_public_file);
  if (!made) return std::unexpected(made.error());
  for (const std::string& file : *made) say("made " + file);
  if (reconcile::is_running((*config)->state.directory)) {
    return problem(Errc::conflict, "a reconciler runs already on " + (*config)->state.directory);
  }
  return Node(**config, session.config_file()).run();
}

}  // namespace

void add_up_verb(Parser& parser, Session& session) {
  auto arguments = std::make_shared<Arguments>();
  parser.verb("", "up", "runs reconciler and edge on this host until it is told to stop")
      .option("--listen", "ADDR:PORT instead of the first listener's address", arguments->listen)
      .option("--state", "directory of the shared state instead of the configured one",
              arguments->state)
      .runs([&session, arguments] { return up(session, *arguments); });
}

}  // namespace sluice::cli
