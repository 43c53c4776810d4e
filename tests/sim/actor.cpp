#include "actor.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "sluice/base/crash_point.hpp"

namespace sluice::sim {
namespace {

Seat* own_seat = nullptr;  // of this process, in an actor
bool in_step = false;
std::uint64_t points = 0;  // of this step
std::uint64_t writes = 0;

void wait_for(sem_t& semaphore) {
  while (sem_wait(&semaphore) != 0 && errno == EINTR) {
  }
}

void at_crash_point() noexcept {
  Seat& seat = *own_seat;
  ++points;
  seat.reply.crash_points = points;
  // The kernel ends the process here: no frame is left, no destructor runs. Locks, mutexes and
  // descriptors go the way they go at any kill -9.
  if (points == seat.command.die_at || fails(Inject::death)) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  if (points == seat.command.pause_at) {
    seat.reply.paused = true;
    sem_post(&seat.done);
    wait_for(seat.go);
    seat.reply.paused = false;
  }
}

/// A process that has no memory may end; nothing else may end it.
[[noreturn]] void at_terminate() {
  try {
    if (const auto error = std::current_exception()) std::rethrow_exception(error);
    // Through a function of libstdc++ that is noexcept: nobody has caught it, its type is not to be
    // had.
    if (std::uncaught_exceptions() > 0 && own_seat->command.inject == Inject::allocation)
      throw std::bad_alloc();
  } catch (const std::bad_alloc&) {
    if (own_seat->reply.injected) _exit(kNoMemoryStatus);
  } catch (...) {
  }
  std::abort();
}

}  // namespace

bool fails(Inject kind) noexcept {
  if (!in_step) return false;
  const Command& command = own_seat->command;
  Reply& reply = own_seat->reply;
  const std::uint64_t call = ++reply.calls[static_cast<std::size_t>(kind)];
  if (command.inject != kind || call < command.inject_at ||
      call - command.inject_at >= command.inject_span)
    return false;
  reply.injected = true;
  return true;
}

Command& next_command(Seat& seat) {
  own_seat = &seat;
  wait_for(seat.go);
  points = 0;
  writes = 0;
  seat.reply = {};
  set_crash_hook(at_crash_point);
  in_step = true;
  return seat.command;
}

void answer(Seat& seat) {
  in_step = false;
  set_crash_hook(nullptr);
  sem_post(&seat.done);
}

void say(Seat& seat, std::string_view message) {
  const std::size_t bytes = std::min(message.size(), seat.reply.message.size() - 1);
  std::memcpy(seat.reply.message.data(), message.data(), bytes);
  seat.reply.message[bytes] = 0;
}

bool disk_is_full() {
  return own_seat != nullptr && own_seat->command.disk_full_at != 0 &&
         writes >= own_seat->command.disk_full_at;
}

void before_write() {
  if (own_seat == nullptr) return;
  ++writes;
  crash_point();
}

void act(Stage& stage, Seat& seat) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int log = open(stage.log.data(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(log, STDERR_FILENO);
  std::set_terminate(at_terminate);
  switch (seat.role) {
    case Role::shard:
      act_shard(stage, seat);
    case Role::reconciler:
      act_reconciler(stage, seat);
    case Role::clerk:
      act_clerk(stage, seat);
  }
  _exit(99);
}

}  // namespace sluice::sim
