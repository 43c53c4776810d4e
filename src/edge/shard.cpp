#include "sluice/edge/shard.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>

#include "privileges.hpp"
#include "shard_files.hpp"
#include "shard_runtime.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/log.hpp"
#include "sluice/base/random.hpp"
#include "sluice/ring/kernel_ring.hpp"
#include "sluice/tls/context.hpp"

namespace sluice::edge {
namespace {

constexpr TimeNs kWaitForStateNs = 30 * kSecond;
constexpr TimeNs kWaitForSlotNs = 5 * kSecond;

int refuse_start(const ShardOptions& options, const std::string& message) {
  log_line(LogLevel::error, "edge", "shard " + std::to_string(options.number) + ": " + message);
  return 1;
}

void pin_to(int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  sched_setaffinity(0, sizeof set, &set);
}

/// A reconciler that starts holds every slot for a moment.
Result<state::SlotLock> take_slot(const std::string& directory, std::uint32_t slots) {
  const TimeNs until_ns = system_clock().monotonic_ns() + kWaitForSlotNs;
  for (;;) {
    auto slot = state::SlotLock::acquire_any(directory, slots);
    if (slot || slot.error().code != Errc::full || system_clock().monotonic_ns() > until_ns)
      return slot;
    usleep(10'000);
  }
}

// The supervisor decides when a shard ends; a terminal's Ctrl-C reaches the whole group.
void ignore_signals() {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

bool check_files(const ShardOptions& options, std::string& message) {
  if (!ShardFiles::read(options, nullptr, message)) return false;
  const auto authorities = tls::ClientContext::load(options.ca_file);
  if (!authorities) message = authorities.error();
  return authorities.has_value();
}

int run_shard(const ShardOptions& options) {
  ignore_signals();
  shut_in();
  pin_to(options.cpu);
  std::string message;
  auto environment = state::open(
      {.directory = options.state_directory, .wait_ready_ns = kWaitForStateNs}, message);
  if (!environment) return refuse_start(options, message);
  auto slot = take_slot(options.state_directory, (*environment)->meta().slots);
  if (!slot) return refuse_start(options, "no free slot in the shared state");
  auto port = ring::open_kernel_ring({.profile_6_1 = options.profile_6_1}, message);
  if (!port) return refuse_start(options, message);

  auto authorities = tls::ClientContext::load(options.ca_file);
  if (!authorities) return refuse_start(options, authorities.error());
  const auto shared = std::make_shared<const tls::ClientContext>(std::move(*authorities));
  ShardRuntime runtime(options, **environment, *slot, **port, shared);
  if (!runtime.prepare(message)) return refuse_start(options, message);
  runtime.run();
  return 0;
}

}  // namespace sluice::edge
