// What TLS costs a record, a handshake and a connection's memory. ECDSA P-256 certificate, X25519,
// AES-128-GCM.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sluice/tls/context.hpp"
#include "sluice/tls/engine.hpp"
#include "sluice/tls/key_hasher.hpp"

namespace sluice::tls {
namespace {

struct Contexts {
  ServerContext server;
  ClientContext client;
};

Contexts make_contexts() {
  std::string pattern = (std::filesystem::temp_directory_path() / "sluice-bench-XXXXXX").string();
  const std::string directory = mkdtemp(pattern.data());
  const std::string command =
      "cd '" + directory +
      "' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key "
      "-out cert -days 2 -subj /CN=bench -addext subjectAltName=DNS:bench.test 2>/dev/null";
  if (std::system(command.c_str()) != 0) std::abort();
  Contexts contexts{ServerContext::load(directory + "/cert", directory + "/key").value(),
                    ClientContext::load(directory + "/cert").value()};
  std::filesystem::remove_all(directory);
  return contexts;
}

const Contexts& contexts() {
  static const Contexts made = make_contexts();
  return made;
}

struct Pair {
  Pair()
      : server(Engine::server(contexts().server).value()),
        client(Engine::client(contexts().client, "bench.test").value()) {}

  void handshake(std::span<char> memory) {
    Outbox to_server{memory.first(memory.size() / 2)};
    Outbox to_client{memory.subspan(memory.size() / 2)};
    std::array<char, 64> none{};
    for (int round = 0; round < 4; ++round) {
      benchmark::DoNotOptimize(client.receive(to_client.pending(), none, to_server));
      to_client.used = 0;
      benchmark::DoNotOptimize(server.receive(to_server.pending(), none, to_client));
      to_server.used = 0;
    }
    if (client.state() != State::open || server.state() != State::open) std::abort();
  }

  Engine server;
  Engine client;
};

void write_and_read_record(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  std::vector<char> memory(64 * 1024);
  std::vector<char> plain(32 * 1024);
  Pair pair;
  pair.handshake(memory);
  Outbox out{memory};
  Outbox unused{std::span(memory).first(0)};
  for (auto _ : state) {
    out.used = 0;
    benchmark::DoNotOptimize(pair.server.send(text, out));
    benchmark::DoNotOptimize(pair.client.receive(out.pending(), plain, unused));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(write_and_read_record)->Arg(200)->Arg(1400)->Arg(4096)->Arg(16384);

void write_record(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  std::vector<char> memory(64 * 1024);
  Pair pair;
  pair.handshake(memory);
  Outbox out{memory};
  for (auto _ : state) {
    out.used = 0;
    benchmark::DoNotOptimize(pair.server.send(text, out));
  }
}
BENCHMARK(write_record)->Arg(200)->Arg(16384);

void full_handshake_both_sides(benchmark::State& state) {
  std::vector<char> memory(64 * 1024);
  for (auto _ : state) {
    Pair pair;
    pair.handshake(memory);
  }
}
BENCHMARK(full_handshake_both_sides)->Unit(benchmark::kMicrosecond);

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// Memory of open connections that have exchanged a record: of both sides together, and of the
/// client's alone.
void memory_of_1000_pairs(benchmark::State& state) {
  std::vector<char> memory(64 * 1024);
  std::vector<char> plain(1024);
  for (auto _ : state) {
    {
      Pair warm;
      warm.handshake(memory);
    }
    std::vector<Pair> pairs;
    pairs.reserve(1000);
    const std::size_t resident = resident_bytes();
    const std::size_t heap = mallinfo2().uordblks;
    for (int i = 0; i < 1000; ++i) {
      Pair& pair = pairs.emplace_back();
      pair.handshake(memory);
      Outbox out{memory};
      Outbox unused{std::span(memory).first(0)};
      benchmark::DoNotOptimize(pair.server.send(std::string(200, 'x'), out));
      benchmark::DoNotOptimize(pair.client.receive(out.pending(), plain, unused));
    }
    state.counters["rss_pair"] = static_cast<double>(resident_bytes() - resident) / 1000;
    state.counters["heap_pair"] = static_cast<double>(mallinfo2().uordblks - heap) / 1000;
    std::vector<Engine> servers;
    servers.reserve(1000);
    const std::size_t both = mallinfo2().uordblks;
    for (Pair& pair : pairs) servers.push_back(std::move(pair.server));
    for (Pair& pair : pairs) Engine(std::move(pair.client));
    state.counters["heap_client"] = static_cast<double>(both - mallinfo2().uordblks) / 1000;
  }
}
BENCHMARK(memory_of_1000_pairs)->Iterations(1)->Unit(benchmark::kMillisecond);

/// Memory of connections that wait for the peer in the middle of a handshake.
void memory_of_100_handshakes(benchmark::State& state) {
  std::vector<char> memory(64 * 1024);
  for (auto _ : state) {
    {
      Pair warm;
      warm.handshake(memory);
    }
    std::vector<Pair> pairs;
    pairs.reserve(100);
    const std::size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 100; ++i) {
      Pair& pair = pairs.emplace_back();
      Outbox hello{std::span(memory).first(4096)};
      Outbox flight{std::span(memory).subspan(4096)};
      benchmark::DoNotOptimize(pair.client.receive({}, {}, hello));
      benchmark::DoNotOptimize(pair.server.receive(hello.pending(), {}, flight));
    }
    state.counters["heap_pair"] = static_cast<double>(mallinfo2().uordblks - before) / 100;
  }
}
BENCHMARK(memory_of_100_handshakes)->Iterations(1)->Unit(benchmark::kMillisecond);

void hash_key(benchmark::State& state) {
  const std::array<std::uint8_t, 32> pepper{1, 2, 3};
  const HmacKeyHasher hasher(pepper);
  const std::string key = "sk-0123456789abcdef0123456789abcdef0123456789abcd";
  for (auto _ : state) benchmark::DoNotOptimize(hasher.hash(key));
}
BENCHMARK(hash_key);

}  // namespace
}  // namespace sluice::tls

BENCHMARK_MAIN();
