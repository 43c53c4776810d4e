// One seed: a life of one node, chosen step by step from the seed, and audited after each.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <vector>

#include "shadow.hpp"
#include "world.hpp"
#include "zygote.hpp"

namespace sluice::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  Fault fault = Fault::none;
  bool trace = false;  ///< every step on stdout
  std::uint64_t steps = 220;
  /// One thing fails in this life, the n-th time that actors of one role could meet it.
  Inject inject = Inject::none;
  Role inject_role = Role::shard;
  std::uint64_t inject_at = 0;
  std::uint64_t inject_span = 1;
};

/// The command that lives the same life again.
[[nodiscard]] std::string replay(const RunOptions& options);

struct RunFigures {
  std::uint64_t steps = 0, kills = 0, crashes = 0, reboots = 0, epochs = 0, rows = 0;
  std::uint64_t reserves = 0, refused = 0, store_faults = 0, disk_faults = 0, pauses = 0;
  std::uint64_t asked = 0;       ///< how often `sluice check` was asked
  std::uint64_t injected = 0;    ///< RunOptions::inject, or drawn
  std::uint64_t injectable = 0;  ///< how often RunOptions::inject could have happened
  Shadow::Ends ends;
  void add(const RunFigures& other);
};

struct RunResult {
  std::string problem;  ///< empty = all was as it must be
  RunFigures figures;
  std::string last_steps;
};

[[nodiscard]] RunResult run_seed(Stage& stage, Scratch& scratch, const RunOptions& options);

/// A short life in which one thing fails, everywhere: `inject` at its first, second … time for
/// actors of `role`, until a life ends without it, or only at `most` places spread over them.
struct Everywhere {
  std::uint64_t seed = 1;
  Inject inject = Inject::death;
  Role role = Role::shard;
  std::uint64_t span = 1;
  std::uint64_t most = UINT64_MAX;
  std::uint64_t lives = 0;   ///< out: how many were lived
  std::uint64_t places = 0;  ///< out: how many there are
  RunOptions failed;         ///< out: of the first life with a problem
};
inline constexpr std::uint64_t kShortLife = 50;
[[nodiscard]] RunResult fail_everywhere(Stage& stage, Scratch& scratch, Everywhere& where);

/// SplitMix64 (Steele, Lea, Flood 2014).
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// 0 … below-1
  std::uint64_t below(std::uint64_t most) { return next() % most; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool percent(std::uint64_t chance) { return below(100) < chance; }

 private:
  std::uint64_t state_;
};

/// A process that is alive, and what the simulator knows of it.
struct Instance {
  std::uint32_t number = 0;
  std::uint32_t seat = 0;
  Role role = Role::shard;
  bool entered = false;
  bool retiring = false;  ///< of the older generation: takes nothing new
  std::uint64_t epoch = 0;
  std::array<std::uint64_t, kPlaces> serials{};  ///< of attempts by place; 0 = free
  std::array<bool, kPlaces> busy{};              ///< a verb is under way
  std::array<Shown, kOps> shown_before;          ///< by each op of its last turn
};

class Run {
 public:
  Run(Stage& stage, Scratch& scratch, const RunOptions& options);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  RunResult run();

 private:
  // what happens
  void one_step();
  void start_missing();
  void start_reconciler();
  void start_shard();
  void meanwhile();
  void step_shard(Instance& shard);
  void step_reconciler();
  void step_clerk();
  void step_clock();
  void kill_somebody();
  void reboot();
  void come_to_rest();
  void settle_all(Instance& shard);
  void second_reconciler();

  // ops of a shard
  void next_op(Instance& shard, std::uint8_t place, Command& command);
  void push(Instance& shard, Command& command, const Op& op);
  void unshow(const Instance& shard, const Command& step, std::uint32_t first);
  void reserve_op(Instance& shard, std::uint8_t place, Command& command);
  void phase_ops(Instance& shard, std::uint8_t place, Command& command);
  void stream_op(Instance& shard, std::uint8_t place, Command& command);
  void end_op(Instance& shard, std::uint8_t place, Command& command);

  // machinery
  Instance& begin(Role role);
  Instance* find(Role role);
  StepEnd send(Instance& actor, const Command& command);
  StepEnd go_on(Instance& actor);
  StepEnd take_end(Instance& actor, bool hung, StepEnd end);
  void take_completions(Instance& shard);
  void forget(Instance& actor);
  [[nodiscard]] Command command(Do what) const;
  void may_die(Command& command, std::uint64_t chance, std::uint64_t points);
  void may_fail(Command& command, std::uint64_t chance);
  void inject(const Instance& actor, Command& command);
  void audit();
  void audit_books();
  void ask_auditor(const state::StateCopy& copy);
  void note(std::string text);
  [[nodiscard]] bool ok() const { return shadow_.problem().empty(); }
  Seat& seat(const Instance& actor) { return stage_.seats[actor.seat]; }

  Stage& stage_;
  RunOptions options_;
  Dice dice_;
  ManualClock clock_;
  TimeNs monotonic_ns_ = 0;
  TimeNs realtime_ns_ = 0;
  TimeNs began_ns_ = 0;  ///< realtime
  World world_;
  Shadow shadow_;
  std::list<Instance> actors_;  // references stay
  std::uint32_t instances_ = 0;
  std::uint64_t serials_ = 0;
  std::uint64_t epoch_ = 0;
  TimeNs drained_ns_ = INT64_MAX / 2;  ///< when the reconciler last did anything in this boot
  RunFigures figures_;
  std::deque<std::string> steps_;
};

}  // namespace sluice::sim
