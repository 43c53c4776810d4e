#include "sluice/state/gate.hpp"

#include <cerrno>
#include <ctime>

namespace sluice::state {

Result<> Gate::initialize() {
  pthread_mutexattr_t attributes;
  int rc = pthread_mutexattr_init(&attributes);
  if (rc == 0) rc = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (rc == 0) rc = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if (rc == 0) rc = pthread_mutex_init(&mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
  holder_.store(kNobody, std::memory_order_relaxed);
  if (rc != 0) return fail(Errc::io, Source::self, Retry::no, rc);
  return {};
}

Gate::Entry Gate::entered(int rc, std::uint32_t who) {
  if (rc == EOWNERDEAD) {
    // The owner died inside. What it left behind is LMDB's to recover (it does, by its own robust
    // mutex): nothing of ours is guarded by the gate.
    pthread_mutex_consistent(&mutex_);
    holder_.store(who, std::memory_order_relaxed);
    return Entry::entered_after_death;
  }
  if (rc != 0) return Entry::busy;
  holder_.store(who, std::memory_order_relaxed);
  return Entry::entered;
}

Gate::Entry Gate::try_enter(std::uint32_t who) {
  return entered(pthread_mutex_trylock(&mutex_), who);
}

Gate::Entry Gate::enter(std::uint32_t who, TimeNs wait_ns) {
  timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  const TimeNs at = until.tv_sec * kSecond + until.tv_nsec + wait_ns;
  until.tv_sec = at / kSecond;
  until.tv_nsec = at % kSecond;
  return entered(pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &until), who);
}

void Gate::leave() {
  holder_.store(kNobody, std::memory_order_relaxed);
  pthread_mutex_unlock(&mutex_);
}

}  // namespace sluice::state
