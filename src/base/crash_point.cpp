#include "sluice/base/crash_point.hpp"

#include <csignal>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

namespace sluice {
namespace {

unsigned long crash_at_from_environment() {
  const char* text = std::getenv("SLUICE_CRASH_AT");
  return text == nullptr ? 0 : std::strtoul(text, nullptr, 10);
}

const unsigned long crash_at = crash_at_from_environment();
std::atomic<unsigned long> passed{0};

void count_and_die() noexcept {
  if (passed.fetch_add(1, std::memory_order_relaxed) + 1 == crash_at) kill(getpid(), SIGKILL);
}

std::atomic<CrashHook> hook{crash_at == 0 ? nullptr : count_and_die};

}  // namespace

void crash_point() noexcept {
  if (const CrashHook at_point = hook.load(std::memory_order_relaxed)) at_point();
}

unsigned long crash_points_passed() noexcept { return passed.load(std::memory_order_relaxed); }

void set_crash_hook(CrashHook at_point) noexcept {
  hook.store(at_point, std::memory_order_relaxed);
}

}  // namespace sluice
