// A process of its own for the tests: LMDB may be open only once in each.
//   shard_helper settle STATE WALLET KEY PRICE COUNT CHARGE   takes a slot, reserves and settles COUNT times
//   shard_helper leave STATE WALLET KEY PRICE COUNT CHARGE    reserves COUNT times and dies with the holds open
//   shard_helper reconcile STATE DATABASE BOOT_ID_FILE        starts a reconciler, three turns, stops
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "sluice/reconcile/reconciler.hpp"
#include "sluice/state/slots.hpp"
#include "sluice/state/verb_queue.hpp"

namespace {

using namespace sluice;

int fail_with(const std::string& text) {
  std::fprintf(stderr, "shard_helper: %s\n", text.c_str());
  return 1;
}

struct Work {
  state::WalletId wallet_id = 0;
  state::KeyId key_id = 0;
  std::uint64_t price_version = 0;
  int count = 0;
  Nanos charge = 0;
};

void ignore(state::PendingVerb&) noexcept {}

bool perform(state::VerbQueue& queue, state::PendingVerb& verb) {
  verb.done = ignore;
  queue.submit(verb, system_clock().monotonic_ns());
  return queue.drain(10 * kSecond) && verb.error.code == Errc::none && verb.outcome.verdict == state::Verdict::done;
}

int serve(const std::string& directory, const Work& work, bool settle) {
  std::string message;
  auto environment = state::open({directory}, message);
  if (!environment) return fail_with(message);
  auto lock = state::SlotLock::acquire_any(directory, (*environment)->meta().slots);
  if (!lock) return fail_with("no slot");
  state::VerbQueue queue(**environment, *lock);
  const TimeNs now_ns = system_clock().realtime_ns();
  for (int i = 0; i < work.count; ++i) {
    state::ReserveVerb reserve;
    reserve.wallet_id = work.wallet_id;
    reserve.key_id = work.key_id;
    reserve.amount = work.charge;
    reserve.price_version = work.price_version;
    reserve.model_id = 1;
    reserve.key_windows = reserve.wallet_windows = {static_cast<std::uint32_t>(now_ns / (86'400 * kSecond)), 24'323};
    // Something to find in the file: the tests damage rows by it.
    std::memcpy(reserve.request_id.data(), "request ", 8);
    std::snprintf(reinterpret_cast<char*>(reserve.request_id.data()) + 8, 8, "%07d", i);
    reserve.opened_at_ns = now_ns;
    reserve.deadline_ns = system_clock().monotonic_ns() + 3600 * kSecond;
    reserve.now_ns = system_clock().monotonic_ns();
    state::PendingVerb held;
    held.verb = reserve;
    held.board_index = static_cast<std::uint32_t>(i % 64);
    if (!perform(queue, held)) return fail_with("reserve " + std::to_string(i));
    if (!settle) continue;
    state::OutboxRecord record;
    record.http_status = 200;
    record.end = price::End::finished;
    record.phase = price::Phase::final;
    record.request_id = reserve.request_id;
    record.channel_id = 1;
    record.attempts = 1;
    record.started_at_ns = now_ns;
    state::SettleVerb close;
    close.hold = held.outcome.hold;
    close.charge.cost = work.charge;
    close.charge.charged = work.charge;
    close.charge.billed.input = work.charge;
    close.record = &record;
    state::PendingVerb settled;
    settled.verb = close;
    settled.board_index = held.board_index;
    if (!perform(queue, settled)) return fail_with("settle " + std::to_string(i));
  }
  if (!settle) ::_exit(0);  // as a process that was killed: nothing is closed
  return 0;
}

int reconcile_once(const std::string& directory, const std::string& database, const std::string& boot_id_file) {
  reconcile::Options options;
  options.state_directory = directory;
  options.database = database;
  options.map_bytes = 16 * kMiB;
  options.boot_id_file = boot_id_file;
  std::string message;
  auto reconciler = reconcile::Reconciler::start(options, system_clock(), message);
  if (!reconciler) return fail_with(message);
  for (int i = 0; i < 3; ++i) {
    if (!(*reconciler)->turn()) return fail_with("turn");
    ::usleep(21'000);
  }
  (*reconciler)->stop();
  (*reconciler)->run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "reconcile" && argc == 5) return reconcile_once(argv[2], argv[3], argv[4]);
  if ((mode != "settle" && mode != "leave") || argc != 8) return fail_with("wrong arguments");
  Work work;
  work.wallet_id = std::strtoull(argv[3], nullptr, 10);
  work.key_id = std::strtoull(argv[4], nullptr, 10);
  work.price_version = std::strtoull(argv[5], nullptr, 10);
  work.count = std::atoi(argv[6]);
  work.charge = std::strtoll(argv[7], nullptr, 10);
  return serve(argv[2], work, mode == "settle");
}
