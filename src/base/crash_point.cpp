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

}  // namespace

void crash_point() noexcept {
  if (crash_at == 0) return;
  if (passed.fetch_add(1, std::memory_order_relaxed) + 1 == crash_at) kill(getpid(), SIGKILL);
}

unsigned long crash_points_passed() noexcept { return passed.load(std::memory_order_relaxed); }

}  // namespace sluice
