#include "run.hpp"

#include <algorithm>
#include <iterator>

#include "sluice/state/gate.hpp"

namespace sluice::sim {
namespace {

constexpr std::uint64_t kMapBytes = 2 * kMiB;
constexpr TimeNs kDay = 86'400 * kSecond;
constexpr TimeNs kNever = INT64_MAX / 2;  // in this boot: what is served is of another one

}  // namespace

std::uint64_t Dice::next() {
  std::uint64_t z = (state_ += 0x9E37'79B9'7F4A'7C15);
  z = (z ^ z >> 30) * 0xBF58'476D'1CE4'E5B9;
  z = (z ^ z >> 27) * 0x94D0'49BB'1331'11EB;
  return z ^ z >> 31;
}

void RunFigures::add(const RunFigures& other) {
  steps += other.steps;
  kills += other.kills;
  crashes += other.crashes;
  reboots += other.reboots;
  epochs += other.epochs;
  rows += other.rows;
  reserves += other.reserves;
  refused += other.refused;
  store_faults += other.store_faults;
  disk_faults += other.disk_faults;
  pauses += other.pauses;
  asked += other.asked;
  injected += other.injected;
  ends.settled += other.ends.settled;
  ends.voided += other.ends.voided;
  ends.late += other.ends.late;
  ends.crash += other.ends.crash;
  ends.lost += other.ends.lost;
  ends.expired += other.ends.expired;
  ends.excess += other.ends.excess;
}

Run::Run(Stage& stage, Scratch& scratch, const RunOptions& options)
    : stage_(stage),
      options_(options),
      dice_(options.seed * 0x2545'F491'4F6C'DD1D + 7),
      monotonic_ns_(1000 * kSecond),
      realtime_ns_(1'800'000'000 * kSecond + dice_.between(0, 40) * kDay +
                   dice_.between(0, 86'399) * kSecond),
      began_ns_(realtime_ns_),
      world_(stage, scratch, options.fault, kMapBytes, clock_) {
  shadow_.add_price(1, kFirstPrice);
  for (std::uint64_t wallet = 1; wallet <= kWallets; ++wallet)
    shadow_.money_moved(wallet, kFirstCredit, true);
}

Run::~Run() {
  for (Instance& actor : actors_) kill_actor(seat(actor));
}

RunResult Run::run() {
  for (std::uint64_t i = 0; i < options_.steps && ok(); ++i) one_step();
  if (ok()) come_to_rest();
  figures_.ends = shadow_.ends();
  figures_.rows = shadow_.rows_seen();
  RunResult result{shadow_.problem(), figures_, {}};
  if (!ok()) {
    for (const std::string& step : steps_) result.last_steps += step + '\n';
    result.last_steps += "--- what the actors said\n";
    const std::string log = world_.log();
    result.last_steps += log.substr(log.size() - std::min<std::size_t>(log.size(), 4000));
  }
  return result;
}

// ---- what happens

void Run::one_step() {
  ++figures_.steps;
  monotonic_ns_ += dice_.between(0, 20) * kMillisecond;
  realtime_ns_ += dice_.between(0, 20) * kMillisecond;
  start_missing();
  if (!ok()) return;
  const std::uint64_t choice = dice_.below(100);
  if (choice < 60) {
    std::vector<Instance*> shards;
    for (Instance& actor : actors_) {
      if (actor.role == Role::shard && actor.entered) shards.push_back(&actor);
    }
    if (!shards.empty()) return step_shard(*shards[dice_.below(shards.size())]);
    return step_reconciler();
  }
  if (choice < 84) return step_reconciler();
  if (choice < 91) return step_clerk();
  if (choice < 94) return step_clock();
  if (choice < 97) return kill_somebody();
  if (choice < 98) return second_reconciler();
  if (choice < 99) return step_reconciler();
  if (dice_.percent(50)) return reboot();
  // The next start that finds no shard at work builds anew.
  stage_.map_bytes = stage_.map_bytes == kMapBytes ? kMapBytes * 3 / 2 : kMapBytes;
  note("another size of map in the configuration");
}

void Run::start_missing() {
  if (find(Role::reconciler) == nullptr && dice_.percent(50)) start_reconciler();
  std::size_t shards = 0;
  for (const Instance& actor : actors_)
    shards += actor.role == Role::shard && !actor.retiring ? 1 : 0;
  if (shards < 2 && dice_.percent(40) && ok()) start_shard();
}

void Run::start_reconciler() {
  Instance& actor = begin(Role::reconciler);
  Command start = command(Do::start);
  may_die(start, 20, 60);
  may_fail(start, 12);
  if (dice_.percent(3)) start.disk_full_at = 1 + dice_.below(20);
  if (dice_.percent(25)) start.pause_at = 1 + dice_.below(40);
  const Reply& reply = seat(actor).reply;
  StepEnd end = send(actor, start);
  while (end == StepEnd::paused) {
    if (drained_ns_ != kNever) drained_ns_ = monotonic_ns_;  // it is there, and stands
    meanwhile();
    end = go_on(actor);
  }
  if (end != StepEnd::died && reply.error != Errc::none) {
    note("  refused: " + std::string(to_string(reply.error)) + " " + reply.message.data());
    kill_actor(seat(actor));
    forget(actor);
  }
  const bool refused = end != StepEnd::died && find(Role::reconciler) == nullptr;
  if (!refused && drained_ns_ != kNever) drained_ns_ = monotonic_ns_;
  if (find(Role::reconciler) != nullptr) drained_ns_ = monotonic_ns_;
  audit();
}

/// The reconciler stands still in the middle of its start: shards come and serve, unless it stands
/// inside a transaction, where they would wait for it.
void Run::meanwhile() {
  ++figures_.pauses;
  audit();
  const std::uint64_t most = dice_.below(5);
  for (std::uint64_t i = 0; i < most && ok(); ++i) {
    state::Environment* environment = world_.environment();
    if (environment != nullptr && environment->boards().gate().holder() != state::Gate::kNobody)
      return;
    std::vector<Instance*> shards;
    for (Instance& actor : actors_) {
      if (actor.role == Role::shard && actor.entered) shards.push_back(&actor);
    }
    if (shards.size() < 2 && dice_.percent(60))
      start_shard();
    else if (!shards.empty())
      step_shard(*shards[dice_.below(shards.size())]);
  }
}

void Run::start_shard() {
  Instance& actor = begin(Role::shard);
  const StepEnd opened = send(actor, command(Do::open));
  if (opened == StepEnd::died) return audit();
  if (seat(actor).reply.error != Errc::none) {
    kill_actor(seat(actor));
    return forget(actor);
  }
  Command enter = command(Do::enter);
  may_die(enter, 10, 6);
  may_fail(enter, 4);
  const StepEnd entered = send(actor, enter);
  if (entered != StepEnd::died && seat(actor).reply.error != Errc::none) {
    kill_actor(seat(actor));
    forget(actor);
  } else if (entered != StepEnd::died) {
    actor.entered = true;
    actor.epoch = seat(actor).reply.epoch;
    note("  slot " + std::to_string(seat(actor).reply.slot));
  }
  audit();
}

void Run::step_shard(Instance& shard) {
  if (dice_.percent(2)) shard.retiring = true;
  const bool idle = std::ranges::all_of(shard.serials, [](auto serial) { return serial == 0; });
  if (shard.retiring && idle) {
    send(shard, command(Do::leave));
    return audit();
  }
  Command turn = command(Do::turn);
  const std::uint64_t most = 1 + dice_.below(8);
  for (std::uint64_t i = 0; i < most; ++i)
    next_op(shard, static_cast<std::uint8_t>(dice_.below(kPlaces)), turn);
  may_die(turn, 3, 2);
  may_fail(turn, 4);
  if (turn.die_at == 0 && dice_.percent(6)) {
    turn.store_fault = static_cast<StoreFault>(1 + dice_.below(4));
    turn.write_fault_at = static_cast<std::uint32_t>(1 + dice_.below(12));
    ++figures_.store_faults;
  }
  send(shard, turn);
  audit();
}

void Run::step_reconciler() {
  Instance* reconciler = find(Role::reconciler);
  if (reconciler == nullptr) return;
  constexpr TimeNs kPassing[] = {
      0,       5 * kMillisecond, 20 * kMillisecond, 60 * kMillisecond, 300 * kMillisecond,
      kSecond, 6 * kSecond,      12 * kSecond};
  const TimeNs by_ns = kPassing[dice_.below(std::size(kPassing))];
  monotonic_ns_ += by_ns;
  realtime_ns_ += by_ns;
  drained_ns_ = monotonic_ns_;
  if (dice_.percent(2)) {
    send(*reconciler, command(Do::leave));
    return audit();
  }
  Command step = command(Do::step);
  may_die(step, 8, 12);
  may_fail(step, 6);
  if (step.die_at == 0 && dice_.percent(3)) {
    step.disk_full_at = 1 + dice_.below(6);
    ++figures_.disk_faults;
  }
  const StepEnd end = send(*reconciler, step);
  if (end != StepEnd::died && seat(*reconciler).reply.error != Errc::none) {
    note("  ends: " + std::string(to_string(seat(*reconciler).reply.error)));
    kill_actor(seat(*reconciler));
    forget(*reconciler);
  }
  audit();
}

void Run::step_clerk() {
  Instance* clerk = find(Role::clerk);
  if (clerk == nullptr) clerk = &begin(Role::clerk);
  constexpr Do kWhat[] = {Do::credit,  Do::credit,     Do::debit,
                          Do::set_key, Do::set_wallet, Do::add_price};
  Command step = command(kWhat[dice_.below(std::size(kWhat))]);
  step.wallet = 1 + dice_.below(kWallets);
  step.key = 1 + dice_.below(kWallets * kKeysAWallet);
  step.amount = dice_.between(1, 50'000'000);
  if (step.what == Do::add_price) step.amount = dice_.between(1, 6'000) * 1'000'000;
  step.budget_day = dice_.percent(50) ? -1 : dice_.between(0, 100'000'000);
  step.budget_total = dice_.percent(70) ? -1 : dice_.between(0, 200'000'000);
  step.in_flight = dice_.percent(60) ? -1 : dice_.between(1, 6);
  step.overdraft = dice_.percent(70) ? 0 : dice_.between(0, 10'000'000);
  step.enabled = !dice_.percent(15);
  may_die(step, 8, 8);
  may_fail(step, 6);
  if (step.die_at == 0 && dice_.percent(3)) {
    step.disk_full_at = 1 + dice_.below(4);
    ++figures_.disk_faults;
  }
  const Reply& reply = seat(*clerk).reply;
  const StepEnd end = send(*clerk, step);
  const bool certain = end != StepEnd::died && reply.error == Errc::none;
  if (step.what == Do::credit || step.what == Do::debit)
    shadow_.money_moved(step.wallet, step.what == Do::credit ? step.amount : -step.amount, certain);
  if (step.what == Do::add_price && certain) {
    shadow_.add_price(reply.price_version, {step.amount, 5 * step.amount});
  }
  audit();
}

void Run::step_clock() {
  constexpr std::int64_t kJumps[] = {-3600, 3600, -86'400, 86'400, 31 * 86'400, -40 * 86'400, 7};
  // 1970, both sides of the end of 32 bits with a sign and without, and back to where it was.
  constexpr std::int64_t kTimes[] = {3600, 2'147'483'640, 2'147'483'660, 4'294'967'290,
                                     4'294'967'300};
  const TimeNs by_ns = kJumps[dice_.below(std::size(kJumps))] * kSecond;
  if (realtime_ns_ < began_ns_ - 400 * kDay || realtime_ns_ > began_ns_ + 400 * kDay) {
    realtime_ns_ = began_ns_;
    note("realtime is right again");
  } else if (dice_.percent(10)) {
    realtime_ns_ = kTimes[dice_.below(std::size(kTimes))] * kSecond;
    note("realtime is " + std::to_string(realtime_ns_ / kSecond));
  } else if (dice_.percent(60)) {
    realtime_ns_ += by_ns;
    note("realtime jumps by " + std::to_string(by_ns / kSecond) + " s");
  } else {
    monotonic_ns_ += 40 * kSecond;
    realtime_ns_ += 40 * kSecond;
    note("40 s pass");
  }
}

void Run::kill_somebody() {
  if (actors_.empty()) return;
  Instance& victim =
      *std::next(actors_.begin(), static_cast<std::ptrdiff_t>(dice_.below(actors_.size())));
  note("kill -9 of " + std::to_string(victim.number));
  ++figures_.kills;
  kill_actor(seat(victim));
  forget(victim);
  audit();
}

void Run::reboot() {
  const bool wiped = dice_.percent(70);
  note(wiped ? "power cut" : "reboot, the state directory is still there");
  ++figures_.reboots;
  while (!actors_.empty()) {
    kill_actor(seat(actors_.front()));
    forget(actors_.front());
  }
  audit();
  shadow_.power_cut();
  world_.reboot(wiped);
  monotonic_ns_ = dice_.between(1, 50) * kSecond;
  drained_ns_ = kNever;
}

void Run::second_reconciler() {
  if (find(Role::reconciler) == nullptr) return;
  Instance& second = begin(Role::reconciler);
  const StepEnd end = send(second, command(Do::start));
  if (end == StepEnd::died || seat(second).reply.error != Errc::conflict)
    shadow_.wrong("a second reconciler was not refused");
  if (end != StepEnd::died) {
    kill_actor(seat(second));
    forget(second);
  }
  audit();
}

// ---- the end

void Run::settle_all(Instance& shard) {
  for (int i = 0; i < 60 && ok(); ++i) {
    const bool idle = std::ranges::all_of(shard.serials, [](auto serial) { return serial == 0; });
    if (idle) break;
    Command turn = command(Do::turn);
    for (std::uint8_t place = 0; place < kPlaces && turn.op_count + 2 < kOps; ++place) {
      if (shard.serials[place] != 0 && !shard.busy[place]) end_op(shard, place, turn);
    }
    monotonic_ns_ += 5 * kMillisecond;
    if (send(shard, turn) == StepEnd::died) return;
    audit();
  }
  send(shard, command(Do::leave));
}

void Run::come_to_rest() {
  note("--- to rest");
  while (ok()) {
    const auto shard = std::ranges::find_if(
        actors_, [](const Instance& actor) { return actor.role == Role::shard; });
    if (shard == actors_.end()) break;
    settle_all(*shard);
    audit();
  }
  for (int i = 0; i < 40 && ok(); ++i) {
    monotonic_ns_ += kSecond;
    realtime_ns_ += kSecond;
    Instance* reconciler = find(Role::reconciler);
    const bool starts = reconciler == nullptr;
    if (starts) reconciler = &begin(Role::reconciler);
    const StepEnd end = send(*reconciler, command(starts ? Do::start : Do::step));
    if (end != StepEnd::died && seat(*reconciler).reply.error != Errc::none) {
      note("  ends: " + std::string(seat(*reconciler).reply.message.data()));
      kill_actor(seat(*reconciler));
      forget(*reconciler);
    }
    audit();
    state::StateCopy copy;
    if (i >= 8 && world_.copy(copy) && copy.outbox.empty() && copy.holds.empty()) break;
  }
  state::StateCopy copy;
  if (!ok()) return;
  if (!world_.copy(copy)) return shadow_.wrong("at rest, nothing is served");
  shadow_.see_rest(copy);
  audit_books();
  if (ok()) ask_auditor(copy);
}

RunResult run_seed(Stage& stage, Scratch& scratch, const RunOptions& options) {
  Run run(stage, scratch, options);
  return run.run();
}

RunResult fail_everywhere(Stage& stage, Scratch& scratch, Everywhere& where) {
  RunOptions options;
  options.seed = where.seed;
  options.steps = kShortLife;
  options.inject = where.inject;
  options.inject_role = where.role;
  options.inject_span = where.span;
  options.inject_at = UINT64_MAX;
  RunResult result = run_seed(stage, scratch, options);
  where.places = result.figures.injectable;
  const std::uint64_t lives = std::min(where.places, where.most);
  for (std::uint64_t i = 0; i < lives && result.problem.empty(); ++i) {
    options.inject_at = 1 + i * where.places / lives;
    result = run_seed(stage, scratch, options);
    ++where.lives;
  }
  where.failed = options;
  return result;
}

}  // namespace sluice::sim
