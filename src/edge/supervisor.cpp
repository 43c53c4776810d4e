#include "sluice/edge/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <memory>
#include <utility>

#include "control_pipe.hpp"
#include "handover.hpp"
#include "listeners.hpp"
#include "page_server.hpp"
#include "privileges.hpp"
#include "program.hpp"
#include "state_lock.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/log.hpp"
#include "sluice/base/random.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/tls/ticket_keys.hpp"

namespace sluice::edge {
namespace {

constexpr TimeNs kFirstBackoffNs = 20 * kMillisecond;
constexpr TimeNs kLongestBackoffNs = 5 * kSecond;
constexpr TimeNs kStableNs =
    10 * kSecond;  // a shard that lived this long starts with the first back-off
constexpr TimeNs kKillAfterDrainNs = 10 * kSecond;
constexpr TimeNs kTicketKeyNs = 12 * 3600 * kSecond;
constexpr TimeNs kCheckMostNs = 10 * kSecond;
constexpr std::size_t kEldersPerShard = 2;  ///< slots are four a shard

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
  void read_files_anew();
  void kill_late();
  void hand_over();
  void retire_elders();
  void rotate_ticket_keys();
  void tell_all(ShardCommand what, std::string_view more = {}) const;
  [[nodiscard]] bool drop_privileges();
  [[nodiscard]] bool take_over();
  [[nodiscard]] bool program_is_sound() const;
  [[nodiscard]] Handover handover() const;
  [[nodiscard]] bool all_serve();
  [[nodiscard]] bool all_gone() const;
  [[nodiscard]] std::uint32_t running() const;
  void attach_boards();
  [[nodiscard]] static TimeNs now_ns() { return system_clock().monotonic_ns(); }

  const SupervisorOptions& options_;
  std::uint64_t generation_ = 1;
  Handover inherited_;  ///< from the program before this one
  std::vector<Handover::Socket> listening_;
  std::vector<Handover::Socket> page_sockets_;
  std::vector<ShardProcess> shards_;
  std::vector<Handover::Elder> elders_;  ///< shards of programs before this one
  bool elders_retired_ = false;          ///< they were asked to finish
  std::deque<std::string> ticket_keys_;  ///< two: the newest last
  TimeNs next_ticket_key_ns_ = 0;
  std::unique_ptr<PageServer> pages_;
  std::unique_ptr<state::Boards> boards_;
  StateLock state_lock_;
  int signals_ = -1;
  TimeNs drain_until_ns_ = 0;  ///< 0 = not draining
};

void complain(const std::string& message) { log_line(LogLevel::error, "edge", message); }

void tell(int control, ShardCommand what, std::string_view more = {}) {
  std::string message(1, static_cast<char>(what));
  message += more;
  if (write(control, message.data(), message.size()) != static_cast<ssize_t>(message.size())) {
    complain("cannot reach a shard");
  }
  explicit_bzero(message.data(), message.size());
}

Supervisor::~Supervisor() {
  close_all(listening_);
  close_all(page_sockets_);
  for (const ShardProcess& shard : shards_) {
    if (shard.control >= 0) close(shard.control);
  }
  if (signals_ >= 0) close(signals_);
}

bool Supervisor::take_over() {
  if (options_.take_over.empty()) return true;
  auto handover = parse_handover(options_.take_over);
  if (!handover) {
    complain("--take-over is for a supervisor that replaces itself");
    return false;
  }
  inherited_ = std::move(*handover);
  set_inherited(inherited_, false);
  generation_ = inherited_.generation;
  elders_ = inherited_.elders;
  const auto lock =
      std::ranges::find(inherited_.pages, state::kEdgeLockFile, &Handover::Socket::address);
  if (lock != inherited_.pages.end()) {
    state_lock_.adopt(lock->fd);
    inherited_.pages.erase(lock);
  }
  return true;
}

bool Supervisor::prepare() {
  if (!take_over() || !state_lock_.hold(options_.state_directory)) return false;
  for (const std::string& address : options_.listeners) {
    const int fd = inherit_or_open(address, inherited_.listening);
    if (fd < 0) return false;
    listening_.push_back({fd, address});
  }
  if (!options_.metrics_address.empty()) {
    const int fd = inherit_or_open(options_.metrics_address, inherited_.pages);
    if (fd < 0) return false;
    page_sockets_.push_back({fd, options_.metrics_address});
    fcntl(fd, F_SETFL, O_NONBLOCK);
    pages_ = std::make_unique<PageServer>(fd, [this](std::string_view path) {
      attach_boards();
      return render_page(path, boards_.get(), running(), options_.shards, now_ns());
    });
  }
  // Listeners that the new configuration does not have: old shards accept on theirs to their end.
  close_all(inherited_.listening);
  close_all(inherited_.pages);
  if (!drop_privileges()) return false;
  rotate_ticket_keys();
  std::signal(SIGPIPE, SIG_IGN);  // a shard may be dead that is told something
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD}) sigaddset(&mask, signal);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
  signals_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  for (std::uint32_t i = 0; i < options_.shards; ++i) shards_.push_back({.number = i});
  return signals_ >= 0;
}

/// Shards are what talks to strangers, and are started by a process that is no more than they are.
bool Supervisor::drop_privileges() {
  shut_in();
  if (options_.user.empty()) {
    if (geteuid() == 0) log_line(LogLevel::warning, "edge", "runs as root: set edge.user");
    return true;
  }
  std::string message;
  if (!become(options_.user, message)) {
    complain("edge.user: " + message);
    return false;
  }
  shut_in();  // the kernel makes a process that changed its user readable again
  // What root could read this user may not. One that takes over was asked already, as this user.
  if (!options_.take_over.empty() || program_is_sound()) return true;
  complain("edge.user: " + options_.user + " cannot start the edge with these files");
  return false;
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
  std::vector<int> open{pipe_fds[0]};
  std::string listening;
  for (const Handover::Socket& socket : listening_) {
    listening += (listening.empty() ? "" : ",") + std::to_string(socket.fd);
    open.push_back(socket.fd);
  }
  const int rc =
      spawn(with(options_.command, {"--shard", std::to_string(shard.number), "--generation",
                                    std::to_string(generation_), "--control",
                                    std::to_string(pipe_fds[0]), "--listening", listening}),
            open, shard.pid);
  close(pipe_fds[0]);
  shard.started_ns = now_ns();
  if (rc != 0) {
    close(pipe_fds[1]);
    shard.pid = -1;
    complain("cannot start " + options_.command.front() + ": " + std::strerror(rc));
    shard.start_again_ns = shard.started_ns + kLongestBackoffNs;
    return;
  }
  shard.control = pipe_fds[1];
  for (const std::string& key : ticket_keys_) tell(shard.control, ShardCommand::ticket_key, key);
}

/// A client resumes with a ticket that any shard made in the last half day, or day at most.
void Supervisor::rotate_ticket_keys() {
  const TimeNs now = now_ns();
  if (now < next_ticket_key_ns_) return;
  next_ticket_key_ns_ = now + kTicketKeyNs;
  std::string key(tls::TicketKeys::kKeyBytes, '\0');
  system_rng().fill({reinterpret_cast<std::uint8_t*>(key.data()), key.size()});
  tell_all(ShardCommand::ticket_key, key);
  ticket_keys_.push_back(std::move(key));
  if (ticket_keys_.size() <= 2) return;
  explicit_bzero(ticket_keys_.front().data(), tls::TicketKeys::kKeyBytes);
  ticket_keys_.pop_front();
}

void Supervisor::tell_all(ShardCommand what, std::string_view more) const {
  for (const ShardProcess& shard : shards_) {
    if (shard.control >= 0) tell(shard.control, what, more);
  }
}

void Supervisor::reap_children() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = std::find_if(shards_.begin(), shards_.end(),
                                    [&](const ShardProcess& shard) { return shard.pid == pid; });
    if (found == shards_.end()) {
      std::erase_if(elders_, [&](const Handover::Elder& elder) {
        if (elder.pid != pid) return false;
        close(elder.control);
        log_line(LogLevel::info, "edge", "a shard of the program before this one has ended");
        return true;
      });
      continue;
    }
    ShardProcess& shard = *found;
    shard.pid = -1;
    close(std::exchange(shard.control, -1));
    if (drain_until_ns_ != 0) continue;
    const TimeNs now = now_ns();
    shard.backoff_ns = now - shard.started_ns > kStableNs
                           ? kFirstBackoffNs
                           : std::min(shard.backoff_ns * 2, kLongestBackoffNs);
    shard.start_again_ns = now + shard.backoff_ns;
    const std::string how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status)) +
                                                      (WCOREDUMP(status) ? ", core dumped" : "")
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
  tell_all(ShardCommand::drain);
  for (const Handover::Elder& elder : elders_) tell(elder.control, ShardCommand::drain);
}

/// Elders too: their connections bring requests until they end.
void Supervisor::read_files_anew() {
  tell_all(ShardCommand::files);
  for (const Handover::Elder& elder : elders_) tell(elder.control, ShardCommand::files);
}

void Supervisor::kill_late() {
  if (drain_until_ns_ == 0 || now_ns() < drain_until_ns_ + kKillAfterDrainNs) return;
  for (const ShardProcess& shard : shards_) {
    if (shard.pid > 0) kill(shard.pid, SIGKILL);
  }
  for (const Handover::Elder& elder : elders_) kill(elder.pid, SIGKILL);
}

// ---- row 19: another program under the same process id

/// Whether the program on disk takes its configuration. Waits for its answer: the shards go on.
bool Supervisor::program_is_sound() const {
  pid_t pid = -1;
  const std::string held = to_text(handover());
  if (spawn(with(options_.command, {"--check", "--take-over", held}), {}, pid) != 0) return false;
  const TimeNs until_ns = now_ns() + kCheckMostNs;
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (now_ns() > until_ns) kill(pid, SIGKILL);
    poll(nullptr, 0, 5);
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Handover Supervisor::handover() const {
  Handover out{.generation = generation_ + 1,
               .listening = listening_,
               .pages = page_sockets_,
               .elders = elders_};
  const int lock = state_lock_.descriptor();
  if (lock >= 0) out.pages.push_back({lock, state::kEdgeLockFile});
  for (const ShardProcess& shard : shards_) {
    if (shard.pid > 0) out.elders.push_back({shard.pid, shard.control});
  }
  return out;
}

void Supervisor::hand_over() {
  if (drain_until_ns_ != 0) return;
  if (elders_.size() > kEldersPerShard * shards_.size()) {
    return complain("no upgrade now: too many shards of earlier ones have not finished");
  }
  if (!program_is_sound()) {
    return complain(
        "no upgrade: the program or its configuration is not sound; going on as before");
  }
  const Handover next = handover();
  std::vector<std::string> command = with(options_.command, {"--take-over", to_text(next)});
  std::vector<char*> argv;
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  log_line(LogLevel::info, "edge", "handing over to generation " + std::to_string(next.generation));
  set_inherited(next, true);
  execv(argv[0], argv.data());
  set_inherited(next, false);
  complain("no upgrade: cannot execute " + command.front() + ": " + std::strerror(errno));
}

bool Supervisor::all_serve() {
  attach_boards();
  if (!boards_) return false;
  std::size_t serving = 0;
  for (const state::ShardBlock& block : boards_->shards()) {
    serving +=
        block.serves(now_ns()) && block.generation.load(std::memory_order_relaxed) == generation_;
  }
  return serving >= shards_.size();
}

/// Old shards finish when every new one serves; until then they serve as well.
void Supervisor::retire_elders() {
  if (elders_retired_ || elders_.empty() || drain_until_ns_ != 0 || !all_serve()) return;
  elders_retired_ = true;
  for (const Handover::Elder& elder : elders_) tell(elder.control, ShardCommand::finish);
  log_line(LogLevel::info, "edge",
           "generation " + std::to_string(generation_) + " serves; " +
               std::to_string(elders_.size()) + " older shards finish");
}

bool Supervisor::all_gone() const { return running() == 0 && elders_.empty(); }

std::uint32_t Supervisor::running() const {
  return static_cast<std::uint32_t>(std::count_if(
      shards_.begin(), shards_.end(), [](const ShardProcess& shard) { return shard.pid > 0; }));
}

int Supervisor::run() {
  std::vector<pollfd> polls;
  bool alone = true;
  while (drain_until_ns_ == 0 || !all_gone()) {
    if (alone && !(alone = state_lock_.hold(options_.state_directory))) begin_drain();
    start_due();
    polls.clear();
    polls.push_back({.fd = signals_, .events = POLLIN, .revents = 0});
    if (pages_) pages_->add_polls(polls);
    poll(polls.data(), polls.size(), 20);
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) begin_drain();
      if (info.ssi_signo == SIGHUP) read_files_anew();
      if (info.ssi_signo == SIGUSR2) hand_over();
    }
    reap_children();
    retire_elders();
    rotate_ticket_keys();
    if (pages_) pages_->run(polls, now_ns());
    kill_late();
  }
  return alone ? 0 : 1;
}

}  // namespace

int run_supervisor(const SupervisorOptions& options) {
  Supervisor supervisor(options);
  if (!supervisor.prepare()) return 1;
  return supervisor.run();
}

}  // namespace sluice::edge
