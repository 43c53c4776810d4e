// Goals P11 (reserve + settle), P12 (warm open, cold build), P13 (growth with keys). State lives in
// /dev/shm, or in $SLUICE_BENCH_DIR (another tmpfs, e.g. one with huge pages).
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/random.hpp"
#include "sluice/state/build.hpp"
#include "sluice/state/catalog.hpp"
#include "sluice/state/catalog_builder.hpp"
#include "sluice/state/verb_queue.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::state {
namespace {

constexpr SlotId kSlot = 0;

Digest256 digest_of(std::uint64_t n) {
  Digest256 digest{};
  SeededRng rng(n);
  rng.fill(digest);
  return digest;
}

struct Snapshot {
  std::vector<WalletSnapshot> wallets;
  std::vector<KeySnapshot> keys;
};

Snapshot snapshot_of(std::uint64_t keys) {
  Snapshot snapshot;
  for (std::uint64_t i = 1; i <= keys; ++i) {
    WalletSnapshot wallet;
    wallet.policy.wallet_id = i;
    wallet.balance = 1'000 * kNanosPerUsd;
    snapshot.wallets.push_back(wallet);
    KeySnapshot key;
    key.key.digest = digest_of(i);
    key.key.record.key_id = i;
    key.key.record.wallet_id = i;
    key.key.limits.budget_day = 1'000'000 * kNanosPerUsd;
    snapshot.keys.push_back(key);
  }
  return snapshot;
}

/// A state directory with one epoch in it, removed at the end.
class Site {
 public:
  explicit Site(std::uint64_t keys) {
    const char* parent = std::getenv("SLUICE_BENCH_DIR");
    std::string name =
        std::string(parent == nullptr ? "/dev/shm" : parent) + "/sluice-bench.XXXXXX";
    path_ = mkdtemp(name.data()) == nullptr ? "/dev/null" : name;
    build(snapshot_of(keys), 1);
  }
  ~Site() { std::filesystem::remove_all(path_); }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  void build(const Snapshot& snapshot, std::uint64_t epoch) {
    BuildOptions options;
    options.directory = path_;
    options.epoch = epoch;
    auto lock = EnvironmentLock::acquire(path_);
    std::string message;
    if (!build_epoch(options, *lock, snapshot.wallets, snapshot.keys, system_rng(), message)) {
      std::fprintf(stderr, "%s\n", message.c_str());
      std::abort();
    }
    if (epoch > 1 && !remove_old_epochs(path_, *lock)) std::abort();
  }
  [[nodiscard]] std::unique_ptr<Environment> open() const {
    std::string message;
    auto environment = state::open({path_}, message);
    if (!environment) {
      std::fprintf(stderr, "%s\n", message.c_str());
      std::abort();
    }
    return std::move(*environment);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Request {
  PendingVerb verb;
  OutboxRecord record;
  HoldId hold;
};

/// A turn of `batch` requests at each of two stages, so that a transaction holds `batch` verbs of
/// which half settle and half reserve: as a loop under load has them.
void BM_ReserveSettle(benchmark::State& bench) {
  const auto keys = static_cast<std::uint64_t>(bench.range(0));
  const auto batch = static_cast<std::size_t>(bench.range(1));
  Site site(keys);
  auto environment = site.open();
  auto slot = SlotLock::acquire(site.path(), kSlot);
  VerbQueue queue(*environment, *slot);
  Writer writer(*environment);
  SeededRng rng(1);
  // `batch` verbs a turn: with batch 1 a request is a reserve in one turn and a settle in another.
  const std::size_t open = std::max<std::size_t>(batch, 2);
  std::vector<Request> requests(open);
  std::size_t next = 0;
  std::uint64_t finished = 0;
  std::uint64_t drained = 0;
  const auto step = [&](Request& request) {
    if (request.hold.seq == 0) {
      ReserveVerb reserve;
      reserve.key_id = reserve.wallet_id = 1 + rng.next_u64() % keys;
      reserve.amount = 1000;
      reserve.key_windows = reserve.wallet_windows = {20'000, 24'000};
      reserve.price_version = 1;
      reserve.deadline_ns = 1'000'000 * kSecond;
      request.verb.verb = reserve;
    } else {
      request.verb.verb = SettleVerb{request.hold, price::split(700, 700, 0), &request.record};
    }
    request.verb.board_index = static_cast<std::uint32_t>(&request - requests.data());
    request.verb.context = &request;
    request.verb.done = [](PendingVerb& self) noexcept {
      auto* mine = static_cast<Request*>(self.context);
      mine->hold = std::holds_alternative<ReserveVerb>(self.verb) ? self.outcome.hold : HoldId();
    };
    queue.submit(request.verb, system_clock().monotonic_ns());
    finished += request.hold.seq != 0 ? 1 : 0;
  };
  for (auto _ : bench) {
    for (std::size_t i = 0; i < batch; ++i) {
      step(requests[next]);
      next = (next + 1) % open;
    }
    if (queue.commit_turn(system_clock().monotonic_ns()) != VerbQueue::Turn::committed)
      std::abort();
    if (finished - drained >= 5000) {
      bench.PauseTiming();
      if (!writer.delete_drained(kSlot, finished)) std::abort();
      drained = finished;
      bench.ResumeTiming();
    }
  }
  bench.counters["us_per_request"] =
      benchmark::Counter(static_cast<double>(bench.iterations()) * static_cast<double>(batch) / 2e6,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_ReserveSettle)
    ->ArgNames({"keys", "verbs_a_turn"})
    ->ArgsProduct({{1, 2'000, 100'000}, {1, 4, 16}})
    ->Unit(benchmark::kMicrosecond);

void BM_FindKey(benchmark::State& bench) {
  const auto keys = static_cast<std::uint64_t>(bench.range(0));
  Site site(keys);
  auto environment = site.open();
  std::vector<Digest256> digests;
  SeededRng rng(2);
  for (int i = 0; i < 4096; ++i) digests.push_back(digest_of(1 + rng.next_u64() % keys));
  std::size_t i = 0;
  for (auto _ : bench) {
    const auto key = environment->find_key(digests[i++ % digests.size()]);
    if (!key || !*key) std::abort();
  }
}
BENCHMARK(BM_FindKey)->ArgName("keys")->Arg(10)->Arg(2'000)->Arg(100'000);

void BM_WarmOpen(benchmark::State& bench) {
  Site site(static_cast<std::uint64_t>(bench.range(0)));
  for (auto _ : bench) {
    auto environment = site.open();
    auto slot = SlotLock::acquire(site.path(), kSlot);
    if (!reap_slot(*environment, *slot, {})) std::abort();
  }
}
BENCHMARK(BM_WarmOpen)->ArgName("keys")->Arg(100'000)->Unit(benchmark::kMillisecond);

void BM_ColdBuild(benchmark::State& bench) {
  Site site(1);
  const Snapshot snapshot = snapshot_of(static_cast<std::uint64_t>(bench.range(0)));
  std::uint64_t epoch = 1;
  for (auto _ : bench) site.build(snapshot, ++epoch);
}
BENCHMARK(BM_ColdBuild)->ArgName("keys")->Arg(100'000)->Unit(benchmark::kMillisecond);

/// Publishing 100,000 keys in chunks: how long one chunk holds the gate (P15).
void BM_PublishChunk(benchmark::State& bench) {
  Site site(100'000);
  auto environment = site.open();
  Writer writer(*environment);
  SeededRng rng(3);
  std::vector<KeyPublish> keys;
  for (std::uint64_t i = 0; i < 64; ++i) {
    const std::uint64_t id = 1 + rng.next_u64() % 100'000;
    KeyPublish key;
    key.digest = digest_of(id);
    key.record.key_id = key.record.wallet_id = id;
    keys.push_back(key);
  }
  for (auto _ : bench) {
    if (writer.publish_keys(keys).committed != keys.size()) std::abort();
  }
}
BENCHMARK(BM_PublishChunk)->Unit(benchmark::kMicrosecond);

CatalogSpec thousand_models() {
  CatalogSpec spec;
  price::PriceRow row;
  row.version = 1;
  row.base = {1, 1, 1, 1, 1, {}};
  spec.prices = {row};
  spec.zones = {utc_zone(1'800'000'000, 400)};
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    ModelSpec model;
    model.id = i;
    model.name = "provider/model-" + std::to_string(i);
    model.price_version = 1;
    spec.models.push_back(model);
  }
  return spec;
}

void BM_CatalogFindModel(benchmark::State& bench) {
  std::string message;
  const auto bytes = build_catalog(thousand_models(), message);
  const auto catalog = Catalog::view(*bytes);
  std::vector<std::string> names;
  for (int i = 1; i <= 1000; ++i) names.push_back("provider/model-" + std::to_string(i));
  std::size_t i = 0;
  for (auto _ : bench) benchmark::DoNotOptimize((*catalog)->find_model(names[i++ % names.size()]));
}
BENCHMARK(BM_CatalogFindModel);

void BM_CatalogWindowsAt(benchmark::State& bench) {
  std::string message;
  const auto bytes = build_catalog(thousand_models(), message);
  const auto catalog = Catalog::view(*bytes);
  TimeNs at = 1'800'000'000 * kSecond;
  for (auto _ : bench) benchmark::DoNotOptimize((*catalog)->windows_at(0, at += kSecond));
}
BENCHMARK(BM_CatalogWindowsAt);

}  // namespace
}  // namespace sluice::state

BENCHMARK_MAIN();
