// Rows a second through UsageBook::drain: full batches, durable commits, a file in the directory
// of SLUICE_BENCH_DIR (default: here). Arguments: keys in use, slots.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "sluice/ledger/ledger.hpp"

namespace {

using namespace sluice;
using namespace sluice::ledger;

void drain(benchmark::State& state) {
  const char* directory = std::getenv("SLUICE_BENCH_DIR");
  const std::string file = std::string(directory != nullptr ? directory : ".") + "/bench-ledger-" +
                           std::to_string(::getpid()) + ".db";
  const auto remove_files = [&] {
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file + suffix);
  };
  remove_files();
  std::string message;
  auto opened = Ledger::open(file, Access::read_write, system_clock(), message);
  if (!opened) return state.SkipWithError(message.c_str());
  Ledger& ledger = **opened;
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  const auto slots = static_cast<std::uint64_t>(state.range(1));
  std::vector<Id> wallets;
  for (std::uint64_t i = 0; i < keys; ++i) {
    Customer customer;
    customer.name = "c" + std::to_string(i);
    Wallet wallet;
    if (!ledger.write([&] { return ledger.customers().add(customer, wallet); }))
      return state.SkipWithError("customer");
    wallets.push_back(wallet.id);
  }
  std::vector<std::uint64_t> seq(slots, 0);
  std::uint64_t request = 0;
  for (auto _ : state) {
    DrainBatch batch{1, 1, {}};
    batch.rows.resize(kDrainRowsMax);
    for (std::size_t i = 0; i < batch.rows.size(); ++i) {
      UsageRow& row = batch.rows[i];
      row.slot = static_cast<std::uint32_t>(i * slots / batch.rows.size());
      row.seq = ++seq[row.slot];
      row.wallet_id = wallets[request++ % keys];
      row.key_id = row.wallet_id;
      row.model_id = row.channel_id = row.price_version = 1;
      row.kind = 1, row.status = 200, row.attempts = 1;
      row.request_id = "0123456789abcdef0123456789abcdef";
      row.input = 900, row.output = 300, row.held = 2'000'000, row.charged = 1'234'567;
      row.started_ns = system_clock().realtime_ns();
      row.first_token_ns = 3'000'000, row.total_ns = 90'000'000;
      row.key_day = row.wallet_day = 20'000, row.key_month = row.wallet_month = 24'000;
    }
    if (!ledger.usage().drain(batch)) return state.SkipWithError(ledger.last_error().c_str());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(request));
  opened->reset();
  remove_files();
}
BENCHMARK(drain)
    ->Args({1, 1})
    ->Args({64, 4})
    ->Args({2000, 4})
    ->Unit(benchmark::kMillisecond)
    ->MinTime(1.0);

}  // namespace
BENCHMARK_MAIN();
