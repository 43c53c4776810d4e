// What the reconciler costs: rows drained (P16), start with many keys (P12), publishing while a
// shard works (P15). The state is under /dev/shm, the ledger in the directory of SLUICE_BENCH_DIR
// (default: here).
#include <benchmark/benchmark.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "sluice/base/random.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/reconcile/reconciler.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/slots.hpp"
#include "sluice/state/verb_queue.hpp"

extern char** environ;

namespace {

using namespace sluice;
using reconcile::Options;
using reconcile::Reconciler;

/// A shard that does whole requests in one transaction after the other.
class Shard {
 public:
  Shard(state::Environment& environment, const std::string& directory)
      : lock_(*state::SlotLock::acquire(directory, 0)), queue_(environment, lock_) {}

  bool request(std::uint64_t wallet, std::uint64_t key) {
    state::ReserveVerb reserve;
    reserve.wallet_id = wallet;
    reserve.key_id = key;
    reserve.amount = 1000;
    reserve.key_windows = reserve.wallet_windows = {20'833, 24'324};
    reserve.model_id = 1;
    reserve.opened_at_ns = system_clock().realtime_ns();
    reserve.deadline_ns = system_clock().monotonic_ns() + 3600 * kSecond;
    reserve.now_ns = system_clock().monotonic_ns();
    const state::Outcome reserved = run(reserve);
    state::OutboxRecord record;
    record.key_id = key;
    record.wallet_id = wallet;
    record.model_id = record.channel_id = 1;
    record.http_status = 200;
    record.counts.input = 900;
    record.counts.output = 300;
    record.started_at_ns = reserve.opened_at_ns;
    record.total_ns = 90 * kMillisecond;
    record.client_address_kind = 6;
    record.client_address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
    system_rng().fill(record.request_id);
    state::SettleVerb settle;
    settle.hold = reserved.hold;
    settle.charge = price::split(700, 1000, 0);
    settle.record = &record;
    return reserved.verdict == state::Verdict::done && run(settle).verdict == state::Verdict::done;
  }

 private:
  template <class Verb>
  state::Outcome run(const Verb& verb) {
    state::PendingVerb pending;
    pending.verb = verb;
    pending.done = [](state::PendingVerb&) noexcept {};
    queue_.submit(pending, system_clock().monotonic_ns());
    queue_.drain(5 * kSecond);
    return pending.outcome;
  }
  state::SlotLock lock_;
  state::VerbQueue queue_;
};

/// Directories of one benchmark, with a ledger of `wallets` wallets and `keys` keys.
class Node {
 public:
  Node(std::int64_t wallets, std::int64_t keys) {
    const char* base = std::getenv("SLUICE_BENCH_DIR");
    const std::string name = "/reconcile-bench-" + std::to_string(getpid());
    disk_ = std::string(base != nullptr ? base : ".") + name;
    options.state_directory = "/dev/shm" + name;
    remove();
    std::filesystem::create_directories(disk_);
    options.database = disk_ + "/ledger.db";
    options.records_directory = disk_ + "/records";
    options.map_bytes = 512 * kMiB;
    open_books();
    add(wallets, keys);
  }
  ~Node() {
    books.reset();
    remove();
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void add_keys(std::int64_t keys) {
    if (!books->write([&]() -> Result<> {
          for (std::int64_t i = 0; i < keys; ++i) {
            if (auto added = add_key(i % wallets_ + 1); !added) return added;
          }
          return {};
        })) {
      std::abort();
    }
  }

  Options options;
  std::unique_ptr<ledger::Ledger> books;

 private:
  void remove() {
    std::filesystem::remove_all(options.state_directory);
    std::filesystem::remove_all(disk_);
  }
  void open_books() {
    std::string message;
    auto opened =
        ledger::Ledger::open(options.database, ledger::Access::read_write, system_clock(), message);
    if (!opened) std::abort();
    books = std::move(*opened);
  }
  Result<> add_key(ledger::Id wallet) {
    ledger::ApiKey key;
    key.wallet_id = wallet;
    key.name = "k" + std::to_string(++keys_);
    // Digests spread like those of real keys.
    SeededRng rng(static_cast<std::uint64_t>(keys_));
    for (int i = 0; i < 64; ++i) key.digest.push_back("0123456789abcdef"[rng.next_u64() & 15]);
    return books->keys().add(key);
  }
  void add(std::int64_t wallets, std::int64_t keys) {
    wallets_ = wallets;
    const auto added = books->write([&]() -> Result<> {
      for (std::int64_t i = 0; i < wallets; ++i) {
        ledger::Customer customer;
        customer.name = "c" + std::to_string(i);
        ledger::Wallet wallet;
        if (auto done = books->customers().add(customer, wallet); !done) return done;
        auto credit = books->money().credit(wallet.id, 1000 * kNanosPerUsd,
                                            ledger::House::funding_credit, "");
        if (!credit) return std::unexpected(credit.error());
      }
      return {};
    });
    if (!added) std::abort();
    add_keys(keys);
  }
  std::string disk_;
  std::int64_t wallets_ = 0;
  std::int64_t keys_ = 0;
};

std::unique_ptr<Reconciler> started(const Options& options) {
  std::string message;
  auto reconciler = Reconciler::start(options, system_clock(), message);
  if (!reconciler) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::abort();
  }
  return std::move(*reconciler);
}

/// Rows from the outbox to the disk of the ledger and of the records, CPU of all threads.
void drain(benchmark::State& state) {
  Node node(state.range(0), state.range(0));
  const auto reconciler = started(node.options);
  Shard shard(reconciler->environment(), node.options.state_directory);
  const auto rows = static_cast<std::uint64_t>(state.range(1));
  std::uint64_t request = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (std::uint64_t i = 0; i < rows; ++i, ++request) {
      const std::uint64_t owner = request % static_cast<std::uint64_t>(state.range(0)) + 1;
      if (!shard.request(owner, owner)) return state.SkipWithError("request");
    }
    state.ResumeTiming();
    if (!reconciler->drain_all(10 * kSecond)) return state.SkipWithError("rows are left");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(request));
  state.counters["us_cpu_a_row"] =
      benchmark::Counter(static_cast<double>(request) / 1e6,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(drain)
    ->Args({64, 400})
    ->Args({2000, 400})
    ->Args({64, 5000})
    ->Args({2000, 5000})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->MinTime(2.0);

void cold_start(benchmark::State& state) {
  Node node(state.range(0), state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    std::filesystem::remove_all(node.options.state_directory);
    state.ResumeTiming();
    started(node.options);
  }
}
BENCHMARK(cold_start)
    ->Arg(100)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(3)
    ->UseRealTime();

void warm_start(benchmark::State& state) {
  Node node(state.range(0), state.range(0));
  started(node.options);
  for (auto _ : state) {
    const auto reconciler = started(node.options);
    if (reconciler->origin() != reconcile::Origin::warm) return state.SkipWithError("not warm");
  }
}
BENCHMARK(warm_start)
    ->Arg(100)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(5)
    ->UseRealTime();

// ---- P15: a shard in a process of its own, measuring its verbs while keys are published

std::atomic<bool> stop_shard{false};

int play_shard(const char* directory) {
  std::signal(SIGTERM, [](int) { stop_shard = true; });
  std::string message;
  auto environment = state::open({.directory = directory, .wait_ready_ns = kSecond}, message);
  if (!environment) return 1;
  Shard shard(**environment, directory);
  std::vector<TimeNs> times;
  times.reserve(1'000'000);
  for (std::uint64_t i = 0; !stop_shard; ++i) {
    const TimeNs from_ns = system_clock().monotonic_ns();
    if (!shard.request(i % 64 + 1, i % 64 + 1)) return 1;
    times.push_back((system_clock().monotonic_ns() - from_ns) / 2);
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  std::ranges::sort(times);
  std::printf(
      "verbs while keys are published: %zu requests, half a request p50 %.3f ms, p99 %.3f ms, max "
      "%.3f ms\n",
      times.size(), static_cast<double>(times[times.size() / 2]) / 1e6,
      static_cast<double>(times[times.size() * 99 / 100]) / 1e6,
      static_cast<double>(times.back()) / 1e6);
  std::fflush(stdout);
  return 0;
}

void publish_keys(benchmark::State& state) {
  Node node(64, 64);
  const auto reconciler = started(node.options);
  int stop[2];
  if (pipe(stop) != 0) return state.SkipWithError("pipe");
  for (auto _ : state) {
    state.PauseTiming();
    node.add_keys(state.range(0));
    std::string program = "/proc/self/exe", flag = "--shard",
                directory = node.options.state_directory;
    char* arguments[] = {program.data(), flag.data(), directory.data(), nullptr};
    pid_t pid = 0;
    if (posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environ) != 0) std::abort();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const auto newest = node.books->catalog().newest();
    state.ResumeTiming();
    std::thread watcher([&] {
      while (node.books->catalog().published(1) != newest)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      kill(pid, SIGTERM);
      waitpid(pid, nullptr, 0);
      if (write(stop[1], "x", 1) != 1) std::abort();
    });
    if (!reconciler->run(stop[0])) state.SkipWithError("run");
    watcher.join();
    char byte = 0;
    if (read(stop[0], &byte, 1) != 1) std::abort();
  }
  close(stop[0]);
  close(stop[1]);
}
BENCHMARK(publish_keys)->Arg(100'000)->Unit(benchmark::kMillisecond)->Iterations(1)->UseRealTime();

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--shard") return play_shard(argv[2]);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
