// What the simulator and its actors share: one seat an actor, with the step that it is to take and
// what came of it. Plain memory, mapped before the first fork. Exactly one process runs at a time:
// the simulator posts `go` and waits for `done`.
#pragma once

#include <semaphore.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/price/charge.hpp"
#include "sluice/state/ids.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::sim {

inline constexpr std::size_t kSeats = 12;
inline constexpr std::size_t kPlaces = 8;  ///< exchanges that a shard can have open
inline constexpr std::size_t kOps = 16;    ///< of one turn
inline constexpr std::size_t kPathBytes = 128;
inline constexpr std::uint32_t kMeterEntries = 16;
inline constexpr std::uint32_t kSlots = 5;
static_assert(kPlaces <= kMeterEntries);

enum class Role : std::uint8_t { shard, reconciler, clerk };
inline constexpr std::size_t kRoles = 3;
[[nodiscard]] const char* to_string(Role role);

/// Planted faults: what is done wrong on purpose, to see that it is found. None is in production
/// code.
enum class Fault : std::uint8_t {
  none,
  hold_kept,           ///< a settle does not delete its hold: it can be closed again
  outbox_row_lost,     ///< a settle writes no outbox row
  counters_forgotten,  ///< a settle leaves the key's counters as they are
  charge_not_moved,    ///< a settle leaves the wallet as it is
  board_late,          ///< SENT is shown after the bytes are gone
  lock_dropped,        ///< a shard gives its slot's lock away and goes on
  extension_unheld,    ///< an extension raises the hold and not `held`
  cursor_not_moved,    ///< the ledger stores rows and forgets its cursor
  row_not_stored,      ///< the ledger moves its cursor past a row that it does not keep
  entry_twice,         ///< the ledger posts a charge twice
  delta_not_queued,    ///< a credit is in the books and never published
  gap_not_noted,       ///< rows that were lost with the power are not written down
  uncommitted_kept,    ///< a hold is made known to its exchange although the commit failed
  count                ///< how many there are
};
[[nodiscard]] const char* to_string(Fault fault);

/// How the store fails under one turn of a shard.
enum class StoreFault : std::uint8_t { none, begin, write, commit_lost, commit_kept };

/// What fails at its n-th time in the steps of an actor, whatever the step is.
enum class Inject : std::uint8_t {
  none,
  death,        ///< kill -9 at a crash point
  allocation,   ///< operator new, or the malloc() of LMDB, SQLite and the rest
  store_call,   ///< a call of LMDB gives an error; of a commit: nothing was written
  commit_kept,  ///< a commit of LMDB gives an error, and was written all the same
  system_call,  ///< of SQLite, LMDB and our own: open, lock, read, write, sync, truncate, rename …
  count         ///< how many there are
};
inline constexpr std::size_t kInjects = static_cast<std::size_t>(Inject::count);
[[nodiscard]] const char* to_string(Inject inject);
/// How an actor ends that has no memory.
inline constexpr int kNoMemoryStatus = 77;

enum class OpKind : std::uint8_t {
  attempt,
  phase,
  counted,
  usage,
  reserve,
  extend,
  settle,
  nothing
};

/// One thing that a shard does for one of its exchanges.
struct Op {
  OpKind kind = OpKind::nothing;
  std::uint8_t place = 0;
  price::Phase phase = price::Phase::reserved;
  price::End end = price::End::finished;
  price::UsageState usage_state = price::UsageState::none;
  bool with_record = true;   ///< settle of nothing: whether an outbox row is wanted
  std::uint64_t serial = 0;  ///< of the reservation
  std::uint64_t wallet = 0, key = 0;
  Nanos amount = 0, excess_max = 0;
  std::uint32_t multiplier = 1000;
  Tokens input_estimate = 0, counted = 0;
  TimeNs deadline_ns = 0;
  price::TokenCounts usage;
};

enum class Do : std::uint8_t {
  open,    ///< shard: attaches to the environment
  enter,   ///< shard: takes a slot and reaps it
  turn,    ///< shard: ops, then one commit_turn()
  start,   ///< reconciler
  step,    ///< reconciler
  leave,   ///< reconciler: run() to its end; shard: gives its slot back; then the process ends
  credit,  ///< clerk …
  debit,
  set_key,
  set_wallet,
  add_price,
};

struct Command {
  Do what = Do::turn;
  std::uint64_t die_at = 0;    ///< at the n-th crash point of this step; 0 = not
  std::uint64_t pause_at = 0;  ///< stops at the n-th crash point until the next command; 0 = not
  std::uint64_t disk_full_at = 0;  ///< the n-th write to the ledger's files and all later ones fail
  TimeNs monotonic_ns = 0;
  TimeNs realtime_ns = 0;
  StoreFault store_fault = StoreFault::none;
  std::uint32_t write_fault_at = 0;  ///< of StoreFault::write
  Inject inject = Inject::none;
  std::uint64_t inject_at = 0;    ///< the n-th of this step
  std::uint64_t inject_span = 1;  ///< and so many that follow it
  Fault fault = Fault::none;
  std::uint32_t op_count = 0;
  std::array<Op, kOps> ops;
  // clerk
  std::uint64_t wallet = 0, key = 0;
  Nanos amount = 0, budget_day = -1, budget_total = -1;
  std::int64_t in_flight = -1;
  Nanos overdraft = 0;
  bool enabled = true;
};

struct Completion {
  std::uint8_t place = 0;
  OpKind kind = OpKind::nothing;
  Errc error = Errc::none;
  state::Outcome outcome;
};

struct Reply {
  Errc error = Errc::none;
  bool paused = false;  ///< in the middle of the step
  std::uint64_t crash_points = 0;
  std::array<std::uint64_t, kInjects> calls{};  ///< of this step, by what could have failed
  bool injected = false;                        ///< Command::inject has happened
  state::SlotId slot = 0;
  std::uint64_t epoch = 0;
  std::uint64_t price_version = 0;
  std::uint8_t origin = 0;  ///< reconcile::Origin
  bool queue_empty = true;
  std::uint32_t ops_done = 0;  ///< of a shard's turn
  std::uint32_t completion_count = 0;
  std::array<Completion, kOps * 2> completions;
  std::array<char, 200> message{};
};

struct Seat {
  sem_t go, done;
  Role role = Role::shard;
  std::atomic<int> pid{0};  ///< 0 = nobody
  std::atomic<bool> dead{false};
  int status = 0;  ///< of waitpid, when dead
  Command command;
  Reply reply;
};

/// The whole shared memory.
struct Stage {
  std::array<Seat, kSeats> seats;
  sem_t fork_wanted;
  std::uint32_t fork_seat = 0;
  std::array<char, kPathBytes> state_directory{}, database{}, boot_id{};
  std::array<char, kPathBytes> log{};
  std::uint64_t map_bytes = 0;
};

/// The life of an actor: takes commands at its seat until it is told to leave. Never returns.
[[noreturn]] void act(Stage& stage, Seat& seat);
[[noreturn]] void act_shard(Stage& stage, Seat& seat);
[[noreturn]] void act_reconciler(Stage& stage, Seat& seat);
[[noreturn]] void act_clerk(Stage& stage, Seat& seat);

}  // namespace sluice::sim
