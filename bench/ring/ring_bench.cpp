// What a step of the event loop costs: awaits, frames, timers, pieces, and a turn with and without
// the kernel.
#include <benchmark/benchmark.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "sluice/ring/frame_pool.hpp"
#include "sluice/ring/kernel_ring.hpp"
#include "sluice/ring/piece_queue.hpp"
#include "sluice/ring/reactor.hpp"
#include "sluice/ring/scope.hpp"

namespace sluice::ring {
namespace {

Task<int> leaf(int value) { co_return value; }

Task<int> chain(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await chain(depth - 1);
}

// One await of a task that ends at once: frame, transfer there and back.
void await_leaf(benchmark::State& state) {
  Scope scope;
  const auto body = [](benchmark::State& loop) -> Task<> {
    for (auto _ : loop) benchmark::DoNotOptimize(co_await leaf(1));
  };
  scope.spawn(body(state));
}
BENCHMARK(await_leaf);

// Per level of a chain of nested awaits.
void await_chain(benchmark::State& state) {
  Scope scope;
  const int depth = static_cast<int>(state.range(0));
  const auto body = [](benchmark::State& loop, int levels) -> Task<> {
    for (auto _ : loop) benchmark::DoNotOptimize(co_await chain(levels));
  };
  scope.spawn(body(state, depth));
  state.SetItemsProcessed(state.iterations() * depth);
}
BENCHMARK(await_chain)->Arg(8)->Arg(64);

void spawn_and_end(benchmark::State& state) {
  Scope scope;
  const auto body = []() -> Task<> { co_return; };
  for (auto _ : state) scope.spawn(body());
}
BENCHMARK(spawn_and_end);

void frame_pool(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    void* const frame = allocate_frame(bytes);
    benchmark::DoNotOptimize(frame);
    release_frame(frame, bytes);
  }
}
BENCHMARK(frame_pool)->Arg(200)->Arg(2000)->Arg(8000);

void timer_arm_and_disarm(benchmark::State& state) {
  TimerWheel wheel(kSecond);
  Timer timer([](Timer&, void*) {}, nullptr);
  for (auto _ : state) {
    wheel.arm(timer, 2 * kSecond);
    timer.disarm();
  }
}
BENCHMARK(timer_arm_and_disarm);

// A time-out that is pushed with every chunk.
void timer_moved_later(benchmark::State& state) {
  TimerWheel wheel(kSecond);
  Timer timer([](Timer&, void*) {}, nullptr);
  TimeNs deadline_ns = 2 * kSecond;
  for (auto _ : state) wheel.arm(timer, ++deadline_ns);
}
BENCHMARK(timer_moved_later);

// One turn's worth of wheel with many streams waiting for minutes: look ahead, pass one slot.
void timer_wheel_with_many_armed(benchmark::State& state) {
  TimeNs now_ns = kSecond;
  TimerWheel wheel(now_ns);
  std::mt19937_64 random(1);
  std::vector<std::unique_ptr<Timer>> timers;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    timers.push_back(std::make_unique<Timer>([](Timer&, void*) {}, nullptr));
    wheel.arm(*timers.back(),
              1'000'000 * kSecond + static_cast<TimeNs>(random() % (4'000 * kMillisecond)));
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(wheel.wait_ns(now_ns, 100 * kMillisecond));
    now_ns += TimerWheel::kSlotNs;
    wheel.advance(now_ns);
  }
}
BENCHMARK(timer_wheel_with_many_armed)->Arg(0)->Arg(1000)->Arg(16000);

// A queue that is always `range` pieces long.
void piece_queue(benchmark::State& state) {
  PieceQueue queue;
  for (std::int64_t i = 0; i < state.range(0); ++i) queue.push(Piece());
  for (auto _ : state) {
    queue.push(Piece());
    benchmark::DoNotOptimize(queue.pop());
  }
}
BENCHMARK(piece_queue)->Arg(0)->Arg(1)->Arg(30);

class NoRing final : public RingPort {
 public:
  void prepare(const Submission&) override {}
  void keep(int) override {}
  void forget(int) override {}
  std::size_t enter(std::span<Completion>, TimeNs) override { return 0; }
  [[nodiscard]] bool has_events() const override { return false; }
  [[nodiscard]] std::size_t buffer_count() const override { return 1; }
  [[nodiscard]] std::size_t buffer_bytes() const override { return 1; }
  [[nodiscard]] char* buffer_data(std::uint16_t) override { return &byte_; }
  void provide(std::uint16_t) override {}

 private:
  char byte_ = 0;
};

// The reactor's own share of a turn in which nothing happens: two clock reads and its books.
void turn_without_kernel(benchmark::State& state) {
  NoRing ring;
  Reactor reactor(ring, system_clock(), {});
  for (auto _ : state) reactor.run_turn(0);
}
BENCHMARK(turn_without_kernel);

// Coroutines that yield: what a turn costs for each that it resumes.
void turn_with_yields(benchmark::State& state) {
  NoRing ring;
  Reactor reactor(ring, system_clock(), {});
  Scope scope;
  bool stop = false;
  const auto body = [](Reactor& on, const bool& until) -> Task<> {
    while (!until) co_await on.yield();
  };
  for (std::int64_t i = 0; i < state.range(0); ++i) scope.spawn(body(reactor, stop));
  for (auto _ : state) reactor.run_turn(0);
  stop = true;
  reactor.run_turn(0);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(turn_with_yields)->Arg(64);

struct KernelBench {
  std::unique_ptr<RingPort> ring;
  std::unique_ptr<Reactor> reactor;
  KernelBench() {
    std::string message;
    auto opened = open_kernel_ring({}, message);
    if (!opened) return;
    ring = std::move(*opened);
    reactor = std::make_unique<Reactor>(*ring, system_clock(), ReactorOptions{});
  }
};

// A turn with one operation that completes at once: submit, enter, dispatch.
void turn_with_one_kernel_operation(benchmark::State& state) {
  KernelBench bench;
  if (!bench.reactor) return state.SkipWithError("no io_uring here");
  int pair[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return state.SkipWithError("no sockets here");
  struct Noted {
    std::int64_t seen = 0;
    Operation operation{
        [](void* context, const Completion&) { ++static_cast<Noted*>(context)->seen; }, this};
  } noted;
  for (auto _ : state) {
    // A writable socket: the poll ends when it is submitted.
    bench.reactor->start(noted.operation, {.code = OpCode::poll, .fd = pair[0], .msg_flags = 4});
    while (noted.operation.in_flight()) bench.reactor->run_turn(kSecond);
  }
  state.counters["turns"] = benchmark::Counter(static_cast<double>(bench.reactor->stats().turns),
                                               benchmark::Counter::kAvgIterations);
  ::close(pair[0]);
  ::close(pair[1]);
}
BENCHMARK(turn_with_one_kernel_operation);

// An armed receive that a write from the other side of a socket pair completes.
void receive_one_message(benchmark::State& state) {
  KernelBench bench;
  if (!bench.reactor) return state.SkipWithError("no io_uring here");
  int pair[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return state.SkipWithError("no sockets here");
  struct Sink {
    Reactor& reactor;
    std::int64_t bytes = 0;
    Operation operation{
        [](void* context, const Completion& completion) {
          auto& self = *static_cast<Sink*>(context);
          if (completion.has_buffer) {
            self.bytes += static_cast<std::int64_t>(self.reactor.buffers().take(completion).size());
          }
        },
        this};
  } sink{*bench.reactor};
  bench.reactor->start(sink.operation, {.code = OpCode::recv_multishot, .fd = pair[0]});
  const std::string text(200, 'x');
  std::int64_t expected = 0;
  for (auto _ : state) {
    if (write(pair[1], text.data(), text.size()) < 0) break;
    expected += static_cast<std::int64_t>(text.size());
    while (sink.bytes < expected) bench.reactor->run_turn(kSecond);
  }
  shutdown(pair[0], SHUT_RDWR);
  while (sink.operation.in_flight()) bench.reactor->run_turn(kSecond);
  ::close(pair[0]);
  ::close(pair[1]);
}
BENCHMARK(receive_one_message);

}  // namespace
}  // namespace sluice::ring

BENCHMARK_MAIN();
