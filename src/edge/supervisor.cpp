#include "sluice/edge/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <utility>

#include "page_server.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/log.hpp"
#include "sluice/net/address.hpp"

extern char** environ;

namespace sluice::edge {
namespace {

constexpr TimeNs kFirstBackoffNs = 20 * kMillisecond;
constexpr TimeNs kLongestBackoffNs = 5 * kSecond;
constexpr TimeNs kStableNs =
    10 * kSecond;  // a shard that lived this long starts with the first back-off
constexpr TimeNs kKillAfterDrainNs = 10 * kSecond;

struct ShardProcess {
  std::uint32_t number = 0;
  pid_t pid = -1;
  int control = -1;  ///< our end of its pipe
  TimeNs started_ns = 0;
  TimeNs start_again_ns = 0;  ///< when it is down
  TimeNs backoff_ns = kFirstBackoffNs;
};

class Supervisor {
 public:
  explicit Supervisor(const SupervisorOptions& options) : options_(options) {}
  ~Supervisor();
  [[nodiscard]] bool prepare();
  int run();

 private:
  void start(ShardProcess& shard);
  void reap_children();
  void start_due();
  void begin_drain();
  void kill_late();
  [[nodiscard]] bool all_gone() const;
  [[nodiscard]] std::uint32_t running() const;
  void attach_boards();
  [[nodiscard]] static TimeNs now_ns() { return system_clock().monotonic_ns(); }

  const SupervisorOptions& options_;
  std::vector<int> listening_;
  std::vector<ShardProcess> shards_;
  std::unique_ptr<PageServer> pages_;
  std::unique_ptr<state::Boards> boards_;
  int signals_ = -1;
  TimeNs drain_until_ns_ = 0;  ///< 0 = not draining
};

void complain(const std::string& message) { log_line(LogLevel::error, "edge", message); }

int open_listener(const std::string& text) {
  const Result<net::Address> address = net::parse_address(text);
  if (!address) {
    complain("cannot listen on " + text + ": not an ADDRESS:PORT");
    return -1;
  }
  const Result<int> fd = net::listen_on(*address);
  if (!fd) {
    complain("cannot listen on " + text + ": " + std::strerror(fd.error().sys_errno));
    return -1;
  }
  return *fd;
}

Supervisor::~Supervisor() {
  for (const int fd : listening_) close(fd);
  for (const ShardProcess& shard : shards_) {
    if (shard.control >= 0) close(shard.control);
  }
  if (signals_ >= 0) close(signals_);
}

bool Supervisor::prepare() {
  for (const std::string& address : options_.listeners) {
    const int fd = open_listener(address);
    if (fd < 0) return false;
    listening_.push_back(fd);
  }
  if (!options_.metrics_address.empty()) {
    const int fd = open_listener(options_.metrics_address);
    if (fd < 0) return false;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    pages_ = std::make_unique<PageServer>(fd, [this](std::string_view path) {
      attach_boards();
      return render_page(path, boards_.get(), running(), options_.shards, now_ns());
    });
  }
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&mask, signal);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
  signals_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  for (std::uint32_t i = 0; i < options_.shards; ++i) shards_.push_back({.number = i});
  return signals_ >= 0;
}

// The boards are of one epoch: after a rebuild they are another file.
void Supervisor::attach_boards() {
  std::string message;
  auto boards = state::Boards::attach(options_.state_directory + "/current", message);
  if (boards) boards_ = std::move(*boards);
}

void Supervisor::start(ShardProcess& shard) {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return;
  std::vector<std::string> arguments = options_.shard_command;
  std::string listening;
  for (const int fd : listening_) listening += (listening.empty() ? "" : ",") + std::to_string(fd);
  for (const std::string& text :
       {std::string("--shard"), std::to_string(shard.number), std::string("--control"),
        std::to_string(pipe_fds[0]), std::string("--listening"), listening}) {
    arguments.push_back(text);
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // dup2 onto itself takes close-on-exec away in the child only.
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[0], pipe_fds[0]);
  for (const int fd : listening_) posix_spawn_file_actions_adddup2(&actions, fd, fd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const int rc = posix_spawn(&shard.pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(pipe_fds[0]);
  shard.started_ns = now_ns();
  if (rc != 0) {
    close(pipe_fds[1]);
    shard.pid = -1;
    complain(std::string("cannot start ") + argv[0] + ": " + std::strerror(rc));
    shard.start_again_ns = shard.started_ns + kLongestBackoffNs;
    return;
  }
  shard.control = pipe_fds[1];
}

void Supervisor::reap_children() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = std::find_if(shards_.begin(), shards_.end(),
                                    [&](const ShardProcess& shard) { return shard.pid == pid; });
    if (found == shards_.end()) continue;
    ShardProcess& shard = *found;
    shard.pid = -1;
    close(std::exchange(shard.control, -1));
    if (drain_until_ns_ != 0) continue;
    const TimeNs now = now_ns();
    shard.backoff_ns = now - shard.started_ns > kStableNs
                           ? kFirstBackoffNs
                           : std::min(shard.backoff_ns * 2, kLongestBackoffNs);
    shard.start_again_ns = now + shard.backoff_ns;
    const std::string how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                                : "status " + std::to_string(WEXITSTATUS(status));
    complain("shard " + std::to_string(shard.number) + " ended (" + how + "); starting it again");
  }
}

void Supervisor::start_due() {
  if (drain_until_ns_ != 0) return;
  const TimeNs now = now_ns();
  for (ShardProcess& shard : shards_) {
    if (shard.pid < 0 && shard.start_again_ns <= now) start(shard);
  }
}

void Supervisor::begin_drain() {
  if (drain_until_ns_ != 0) return;
  drain_until_ns_ = now_ns() + options_.drain_ns;
  log_line(LogLevel::info, "edge", "draining");
  for (const ShardProcess& shard : shards_) {
    if (shard.control >= 0 && write(shard.control, "d", 1) != 1) complain("cannot reach a shard");
  }
}

void Supervisor::kill_late() {
  if (drain_until_ns_ == 0 || now_ns() < drain_until_ns_ + kKillAfterDrainNs) return;
  for (const ShardProcess& shard : shards_) {
    if (shard.pid > 0) kill(shard.pid, SIGKILL);
  }
}

bool Supervisor::all_gone() const { return running() == 0; }

std::uint32_t Supervisor::running() const {
  return static_cast<std::uint32_t>(std::count_if(
      shards_.begin(), shards_.end(), [](const ShardProcess& shard) { return shard.pid > 0; }));
}

int Supervisor::run() {
  std::vector<pollfd> polls;
  while (drain_until_ns_ == 0 || !all_gone()) {
    start_due();
    polls.clear();
    polls.push_back({.fd = signals_, .events = POLLIN, .revents = 0});
    if (pages_) pages_->add_polls(polls);
    poll(polls.data(), polls.size(), 20);
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) begin_drain();
    }
    reap_children();
    if (pages_) pages_->run(polls, now_ns());
    kill_late();
  }
  return 0;
}

}  // namespace

int run_supervisor(const SupervisorOptions& options) {
  Supervisor supervisor(options);
  if (!supervisor.prepare()) return 1;
  return supervisor.run();
}

}  // namespace sluice::edge
