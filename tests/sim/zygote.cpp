#include "zygote.hpp"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "actor.hpp"

namespace sluice::sim {
namespace {

Stage* the_stage = nullptr;
constexpr int kHangsAfterS = 30;

// Runs in the zygote. The child's locks and descriptors are gone when waitpid() returns.
void reap_children(int) {
  const int saved = errno;
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (Seat& seat : the_stage->seats) {
      if (seat.pid.load() != pid) continue;
      seat.status = status;
      seat.dead.store(true);
      sem_post(&seat.done);
    }
  }
  errno = saved;
}

void wait_for(sem_t& semaphore) {
  while (sem_wait(&semaphore) != 0 && errno == EINTR) {
  }
}

[[noreturn]] void run_zygote(Stage& stage) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  struct sigaction action{};
  action.sa_handler = reap_children;
  action.sa_flags = SA_RESTART;
  sigaction(SIGCHLD, &action, nullptr);
  for (;;) {
    wait_for(stage.fork_wanted);
    Seat& seat = stage.seats[stage.fork_seat];
    sigprocmask(SIG_BLOCK, &children, nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
      signal(SIGCHLD, SIG_DFL);
      sigprocmask(SIG_UNBLOCK, &children, nullptr);
      act(stage, seat);
    }
    seat.pid.store(pid);
    sigprocmask(SIG_UNBLOCK, &children, nullptr);
    sem_post(&seat.done);
  }
}

}  // namespace

Stage& raise_stage() {
  watch_memory_of_sqlite();
  // Only one of the processes runs at a time: on one core they hand over without waking another.
  cpu_set_t here;
  CPU_ZERO(&here);
  if (const int cpu = sched_getcpu(); cpu >= 0) {
    CPU_SET(static_cast<std::size_t>(cpu), &here);
    sched_setaffinity(0, sizeof here, &here);
  }
  void* memory =
      mmap(nullptr, sizeof(Stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    std::exit(2);
  }
  auto* stage = new (memory) Stage;
  the_stage = stage;
  sem_init(&stage->fork_wanted, 1, 0);
  for (Seat& seat : stage->seats) {
    sem_init(&seat.go, 1, 0);
    sem_init(&seat.done, 1, 0);
  }
  const pid_t pid = fork();
  if (pid < 0) {
    std::perror("fork");
    std::exit(2);
  }
  if (pid == 0) run_zygote(*stage);
  return *stage;
}

void fork_actor(Stage& stage, std::uint32_t number, Role role) {
  Seat& seat = stage.seats[number];
  seat.role = role;
  seat.dead.store(false);
  seat.status = 0;
  stage.fork_seat = number;
  sem_post(&stage.fork_wanted);
  wait_for(seat.done);
}

StepEnd run_step(Seat& seat, bool& hung) {
  hung = false;
  seat.reply.paused = false;
  sem_post(&seat.go);
  timespec until{};
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += kHangsAfterS;
  while (sem_clockwait(&seat.done, CLOCK_MONOTONIC, &until) != 0) {
    if (errno == EINTR) continue;
    hung = true;
    kill(seat.pid.load(), SIGKILL);
    wait_for(seat.done);
    break;
  }
  if (seat.dead.load()) {
    seat.pid.store(0);
    while (sem_trywait(&seat.go) == 0) {
    }
    return StepEnd::died;
  }
  return seat.reply.paused ? StepEnd::paused : StepEnd::answered;
}

void kill_actor(Seat& seat) {
  const int pid = seat.pid.load();
  if (pid == 0) return;
  kill(pid, SIGKILL);
  wait_for(seat.done);
  seat.pid.store(0);
}

bool died_by_itself(const Seat& seat, std::string& how) {
  if (WIFSIGNALED(seat.status) && WTERMSIG(seat.status) == SIGKILL) return false;
  if (WIFEXITED(seat.status) && WEXITSTATUS(seat.status) == kNoMemoryStatus) return false;
  how = WIFSIGNALED(seat.status) ? "signal " + std::to_string(WTERMSIG(seat.status))
                                 : "exit status " + std::to_string(WEXITSTATUS(seat.status));
  return true;
}

}  // namespace sluice::sim
