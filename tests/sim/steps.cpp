// How a step is made and sent, and what is looked at after it.
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "audit_books.hpp"
#include "audit_rows.hpp"
#include "audit_state.hpp"
#include "run.hpp"

namespace sluice::sim {
namespace {

constexpr std::uint64_t kStepsBetweenAsks = 16;

// Admission's limit is 5 s; a reconciler that does nothing because nothing is due is not gone.
constexpr TimeNs kUnattended = 7 * kSecond;

const char* name_of(Do what) {
  constexpr const char* kNames[] = {"open",   "enter", "turn",    "start",      "step",     "leave",
                                    "credit", "debit", "set_key", "set_wallet", "add_price"};
  return kNames[static_cast<std::size_t>(what)];
}

}  // namespace

const char* to_string(Inject inject) {
  constexpr const char* kNames[] = {"none",       "death",       "allocation",
                                    "store_call", "commit_kept", "system_call"};
  static_assert(std::size(kNames) == kInjects);
  return kNames[static_cast<std::size_t>(inject)];
}

const char* to_string(Role role) {
  constexpr const char* kNames[] = {"shard", "reconciler", "clerk"};
  static_assert(std::size(kNames) == kRoles);
  return kNames[static_cast<std::size_t>(role)];
}

std::string replay(const RunOptions& options) {
  std::string out = "tools/sim --seed " + std::to_string(options.seed);
  if (options.steps != RunOptions().steps) out += " --steps " + std::to_string(options.steps);
  if (options.fault != Fault::none) out += std::string(" --fault ") + to_string(options.fault);
  if (options.inject != Inject::none) {
    out += std::string(" --inject ") + to_string(options.inject) + "," +
           to_string(options.inject_role) + "," + std::to_string(options.inject_at) + "," +
           std::to_string(options.inject_span);
  }
  return out;
}

namespace {

std::string text_of(const Op& op) {
  constexpr const char* kNames[] = {"attempt", "phase",  "counted", "usage",
                                    "reserve", "extend", "settle",  "nothing"};
  std::string out = std::string(" ") + kNames[static_cast<std::size_t>(op.kind)] + "@" +
                    std::to_string(op.place) + "#" + std::to_string(op.serial);
  if (op.kind == OpKind::phase) out += "=" + std::to_string(static_cast<int>(op.phase));
  if (op.kind == OpKind::settle) out += "=" + std::to_string(static_cast<int>(op.end));
  if (op.kind == OpKind::reserve || op.kind == OpKind::extend)
    out += "=" + std::to_string(op.amount);
  return out;
}

}  // namespace

void Run::note(std::string text) {
  text = std::to_string(figures_.steps) + " " + std::move(text);
  if (options_.trace) std::printf("%s\n", text.c_str());
  steps_.push_back(std::move(text));
  if (steps_.size() > 60) steps_.pop_front();
}

Instance* Run::find(Role role) {
  const auto found =
      std::ranges::find_if(actors_, [&](const Instance& actor) { return actor.role == role; });
  return found == actors_.end() ? nullptr : &*found;
}

Instance& Run::begin(Role role) {
  std::uint32_t seat_number = 0;
  while (stage_.seats[seat_number].pid.load() != 0) ++seat_number;
  Instance actor;
  actor.number = ++instances_;
  actor.seat = seat_number;
  actor.role = role;
  fork_actor(stage_, seat_number, role);
  actors_.push_back(actor);
  return actors_.back();
}

void Run::forget(Instance& actor) {
  shadow_.owner_died(actor.number);
  const std::uint32_t number = actor.number;
  std::erase_if(actors_, [&](const Instance& other) { return other.number == number; });
}

Command Run::command(Do what) const {
  Command out;
  out.what = what;
  out.monotonic_ns = monotonic_ns_;
  out.realtime_ns = realtime_ns_;
  out.fault = options_.fault;
  return out;
}

void Run::may_die(Command& step, std::uint64_t chance, std::uint64_t points) {
  if (dice_.percent(chance)) step.die_at = 1 + dice_.below(points);
}

/// Something fails somewhere in the step: more often near its beginning, for steps have few calls
/// or many.
void Run::may_fail(Command& step, std::uint64_t chance) {
  if (options_.inject != Inject::none || step.die_at != 0 || !dice_.percent(chance)) return;
  constexpr Inject kKinds[] = {Inject::allocation, Inject::allocation, Inject::store_call,
                               Inject::commit_kept, Inject::system_call};
  step.inject = kKinds[dice_.below(std::size(kKinds))];
  step.inject_at = 1 + dice_.below(std::uint64_t{1} << dice_.below(12));
  const bool goes_on = step.inject == Inject::allocation || step.inject == Inject::system_call;
  if (goes_on && dice_.percent(30)) step.inject_span = 1 + dice_.below(50);
}

/// The one thing that RunOptions asks for, when this step gets that far.
void Run::inject(const Instance& actor, Command& step) {
  if (options_.inject == Inject::none || actor.role != options_.inject_role) return;
  if (figures_.injectable >= options_.inject_at) return;
  step.inject = options_.inject;
  step.inject_at = options_.inject_at - figures_.injectable;
  step.inject_span = options_.inject_span;
}

/// After it, `actor` is gone when the step ended with its death.
StepEnd Run::send(Instance& actor, const Command& step) {
  Seat& at = seat(actor);
  at.command = step;
  inject(actor, at.command);
  std::string text = std::string(to_string(actor.role)) + " " + std::to_string(actor.number) +
                     ": " + name_of(step.what);
  for (std::uint32_t i = 0; i < step.op_count; ++i) text += text_of(step.ops[i]);
  if (step.die_at != 0) text += " die_at=" + std::to_string(step.die_at);
  if (step.disk_full_at != 0) text += " disk_full_at=" + std::to_string(step.disk_full_at);
  if (step.store_fault != StoreFault::none)
    text += " store_fault=" + std::to_string(static_cast<int>(step.store_fault));
  if (at.command.inject != Inject::none)
    text += " " + std::string(to_string(at.command.inject)) + "=" +
            std::to_string(at.command.inject_at);
  note(text);
  bool hung = false;
  const StepEnd end = run_step(at, hung);
  return take_end(actor, hung, end);
}

/// After a pause.
StepEnd Run::go_on(Instance& actor) {
  Command& step = seat(actor).command;
  step.monotonic_ns = monotonic_ns_;
  step.realtime_ns = realtime_ns_;
  step.pause_at = dice_.percent(50) ? seat(actor).reply.crash_points + 1 + dice_.below(12) : 0;
  note("  goes on");
  bool hung = false;
  const StepEnd end = run_step(seat(actor), hung);
  return take_end(actor, hung, end);
}

StepEnd Run::take_end(Instance& actor, bool hung, StepEnd end) {
  Seat& at = seat(actor);
  const Command& step = at.command;
  if (hung) shadow_.wrong("an actor hangs");
  if (end == StepEnd::paused) {
    note("  stands at crash point " + std::to_string(at.reply.crash_points));
    return end;
  }
  if (options_.inject != Inject::none && actor.role == options_.inject_role)
    figures_.injectable += at.reply.calls[static_cast<std::size_t>(options_.inject)];
  if (at.reply.injected) {
    ++figures_.injected;
    note("  " + std::string(to_string(step.inject)) + " failed");
  }
  if (actor.role == Role::shard && step.what == Do::turn && end != StepEnd::died)
    take_completions(actor);
  if (end == StepEnd::died) {
    std::string how;
    const bool left = step.what == Do::leave;
    if (died_by_itself(at, how) && !(left && how == "exit status 0"))
      shadow_.wrong("an actor died by itself: " + how);
    note("  is gone, after " + std::to_string(at.reply.crash_points) + " crash points");
    if (!left) ++figures_.crashes;
    if (step.what == Do::turn) unshow(actor, step, at.reply.ops_done);
    forget(actor);
  } else if (at.reply.error != Errc::none) {
    note("  error " + std::string(to_string(at.reply.error)) + " " + at.reply.message.data());
  }
  return end;
}

/// A shard died before it came to these: it found no memory for what comes first in a turn.
void Run::unshow(const Instance& shard, const Command& step, std::uint32_t first) {
  for (std::uint32_t i = step.op_count; i > first; --i)
    static_cast<Shown&>(shadow_.attempt(step.ops[i - 1].serial)) = shard.shown_before[i - 1];
}

void Run::take_completions(Instance& shard) {
  const Reply& reply = seat(shard).reply;
  if (reply.error != Errc::none) {  // no catalog: nothing was submitted
    for (std::size_t place = 0; place < kPlaces; ++place) {
      shard.busy[place] = false;
      if (shard.serials[place] == 0) continue;
      Attempt& attempt = shadow_.attempt(std::exchange(shard.serials[place], 0));
      attempt.known = Attempt::Known::refused;
    }
  }
  // A commit failed, and what could not be done besides may have been to read the holds again.
  const bool unread = reply.injected && seat(shard).command.store_fault != StoreFault::none;
  for (std::uint32_t i = 0; i < reply.completion_count; ++i) {
    const Completion& completion = reply.completions[i];
    Attempt& attempt = shadow_.attempt(shard.serials[completion.place]);
    shadow_.answered(attempt, completion, unread);
    shard.busy[completion.place] = false;
    const bool over =
        completion.kind == OpKind::settle ||
        (completion.kind == OpKind::reserve && attempt.known != Attempt::Known::held);
    if (over) shard.serials[completion.place] = 0;
    if (completion.kind == OpKind::reserve && attempt.known == Attempt::Known::held &&
        monotonic_ns_ - drained_ns_ > kUnattended)
      shadow_.wrong("admitted although nobody drains");
    if (completion.kind == OpKind::reserve)
      ++(attempt.known == Attempt::Known::held ? figures_.reserves : figures_.refused);
  }
}

void Run::audit() {
  if (!ok()) return;
  shadow_.see_entries(*world_.books().sums().numbered_entries());
  if (const auto rows = world_.new_rows(); !rows.empty()) {
    shadow_.see_ledger_rows(rows);
    for (std::uint64_t wallet = 1; wallet <= kWallets && ok(); ++wallet) {
      shadow_.see_balance(
          wallet, world_.books().customers().wallet(static_cast<ledger::Id>(wallet))->balance);
    }
  }
  state::StateCopy copy;
  // An environment that was replaced may not say so: what retires it may have failed.
  const auto newest = world_.books().epochs().newest(1);
  const bool replaced = newest && newest->epoch != epoch_;
  if ((replaced || !world_.copy(copy)) && (!world_.attach() || !world_.copy(copy))) return;
  if (copy.meta.epoch != epoch_) {
    epoch_ = copy.meta.epoch;
    ++figures_.epochs;
    note("  epoch " + std::to_string(epoch_));
    shadow_.see_epoch(epoch_, *world_.books().usage().gaps());
  }
  if (ok()) shadow_.see_state(copy, monotonic_ns_);
  if (ok() && figures_.steps % kStepsBetweenAsks == 0) ask_auditor(copy);
}

/// What `sluice check` says of the same moment. Nobody runs: what it reads twice stays as it is.
void Run::ask_auditor(const state::StateCopy& copy) {
  cli::AuditedState state;
  state.before = copy;
  for (const state::SlotRecord& slot : copy.slots) state.heads[slot.slot] = slot.outbox_seq;
  state.heads_after = state.heads;
  for (const state::WalletRecord& wallet : copy.wallets)
    state.applied_after[wallet.wallet_id] = wallet.applied_no;
  cli::Findings findings;
  cli::Progress silent("", nullptr, system_clock());
  ledger::Ledger& books = world_.books();
  const auto done = books.read([&]() -> Result<> {
    // A reconciler that builds an epoch has it in the ledger first.
    const auto newest = cli::is_newest_epoch(books, 1, copy.meta);
    if (!newest) return std::unexpected(newest.error());
    if (*newest) {
      if (auto records = cli::audit_records(books, 1, state, findings); !records) return records;
      const auto rows = cli::audit_rows(books, 1, state, findings, silent);
      if (!rows) return std::unexpected(rows.error());
      cli::audit_balances(state, *rows, findings);
      if (auto credits = cli::audit_credits(books, 1, state, *rows, findings); !credits)
        return credits;
    }
    return cli::audit_books(books, findings, silent);
  });
  if (!done) return shadow_.wrong("sluice check cannot read the ledger");
  ++figures_.asked;
  for (const cli::Finding& finding : findings.all()) {
    if (finding.wrong > 0)
      shadow_.wrong("sluice check: " + finding.invariant + ": " + finding.what + ": " +
                    finding.where);
  }
}

void Run::audit_books() {
  for (std::uint64_t wallet = 1; wallet <= kWallets && ok(); ++wallet) {
    shadow_.see_balance(
        wallet, world_.books().customers().wallet(static_cast<ledger::Id>(wallet))->balance);
  }
  const auto differ = world_.books().sums().batches_that_differ();
  if (!differ || !differ->empty()) shadow_.wrong("entries of a batch are not the sums of its rows");
  const auto accounts = world_.books().sums().accounts();
  Nanos debits = 0, credits = 0;
  for (const ledger::AccountSums& account : *accounts) {
    debits += account.debits;
    credits += account.credits;
    if (account.debits != account.posted_debits || account.credits != account.posted_credits)
      shadow_.wrong("an account's totals are not those of its entries");
  }
  if (debits != credits) shadow_.wrong("debits are not credits");
}

// ---- what a shard does

void Run::push(Instance& shard, Command& step, const Op& op) {
  Op& at = step.ops[step.op_count++];
  at = op;
  at.serial = op.serial != 0 ? op.serial : shard.serials[op.place];
  if (op.kind == OpKind::reserve) {
    shadow_.ask(at, shard.number, shard.epoch);
    shard.serials[op.place] = at.serial;
  }
  Attempt& attempt = shadow_.attempt(at.serial);
  shard.shown_before[step.op_count - 1] = attempt;
  switch (op.kind) {
    case OpKind::attempt:
      attempt.phase = price::Phase::reserved;
      attempt.usage_state = price::UsageState::none;
      attempt.counted = 0;
      return;
    case OpKind::phase:
      attempt.phase = op.phase;
      return;
    case OpKind::counted:
      attempt.counted = op.counted;
      return;
    case OpKind::usage:
      attempt.usage_state = op.usage_state;
      attempt.usage = op.usage;
      if (op.usage_state == price::UsageState::final) attempt.phase = price::Phase::final;
      return;
    case OpKind::extend:
      attempt.extension = op.amount;
      break;
    case OpKind::settle:
      attempt.closing = true;
      attempt.end = op.end;
      attempt.with_record = op.with_record;
      break;
    default:
      break;
  }
  shard.busy[op.place] = true;
}

void Run::reserve_op(Instance& shard, std::uint8_t place, Command& step) {
  Op op;
  op.kind = OpKind::reserve;
  op.place = place;
  op.serial = ++serials_;
  op.wallet = 1 + dice_.below(kWallets);
  op.key = (op.wallet - 1) * kKeysAWallet + 1 + dice_.below(kKeysAWallet);
  op.input_estimate = dice_.between(1, 400);
  op.amount = op.input_estimate * 3900 + dice_.between(1, 400) * 15'000;
  op.excess_max = dice_.percent(70) ? 3'000'000 : 0;
  op.multiplier = dice_.percent(70) ? 1000 : 1500;
  op.deadline_ns = monotonic_ns_ + (dice_.percent(70) ? 60 : 8) * kSecond;
  push(shard, step, op);
}

void Run::end_op(Instance& shard, std::uint8_t place, Command& step) {
  using price::End;
  using price::Phase;
  const Attempt& attempt = shadow_.attempt(shard.serials[place]);
  Op op;
  op.place = place;
  if (attempt.phase == Phase::streaming && dice_.percent(50)) {
    op.kind = OpKind::usage;
    op.usage_state = price::UsageState::final;
    op.usage.input = dice_.between(1, 500);
    op.usage.output = attempt.counted + dice_.between(0, 300);
    push(shard, step, op);
  }
  op.kind = OpKind::settle;
  constexpr End kEarly[] = {End::no_candidate, End::client_left, End::cut, End::upstream_broke};
  constexpr End kLate[] = {End::finished, End::client_left, End::cut, End::upstream_broke};
  op.end = attempt.phase < Phase::streaming ? kEarly[dice_.below(4)] : kLate[dice_.below(4)];
  if (attempt.phase == Phase::final) op.end = End::finished;
  op.with_record = !dice_.percent(20);
  push(shard, step, op);
}

/// Sends a request on its way: one to three steps of row 2b.
void Run::phase_ops(Instance& shard, std::uint8_t place, Command& step) {
  using price::Phase;
  const Attempt& attempt = shadow_.attempt(shard.serials[place]);
  const std::uint64_t most = 1 + dice_.below(3);
  for (std::uint64_t i = 0; i < most && attempt.phase < Phase::streaming; ++i) {
    Op op;
    op.place = place;
    op.kind = OpKind::phase;
    op.phase = static_cast<Phase>(static_cast<int>(attempt.phase) + 1);
    push(shard, step, op);
  }
}

void Run::stream_op(Instance& shard, std::uint8_t place, Command& step) {
  const Attempt& attempt = shadow_.attempt(shard.serials[place]);
  Op op;
  op.place = place;
  if (dice_.percent(75)) {
    op.kind = OpKind::counted;
    op.counted = attempt.counted + dice_.between(0, 150);
  } else {
    op.kind = OpKind::usage;
    op.usage_state = price::UsageState::partial;
    op.usage.input = dice_.between(1, 500);
    op.usage.output = dice_.between(0, 5);
  }
  push(shard, step, op);
}

void Run::next_op(Instance& shard, std::uint8_t place, Command& step) {
  using price::Phase;
  if (shard.busy[place] || step.op_count + 3 > kOps) return;
  if (shard.serials[place] == 0) {
    if (!shard.retiring && dice_.percent(80)) reserve_op(shard, place, step);
    return;
  }
  const Attempt& attempt = shadow_.attempt(shard.serials[place]);
  const std::uint64_t choice = dice_.below(100);
  if (choice < (attempt.phase < Phase::streaming ? 10 : 35)) return end_op(shard, place, step);
  Op op;
  op.place = place;
  if (choice < 45) {
    op.kind = OpKind::extend;
    op.amount = dice_.between(1, 3'000'000);
    return push(shard, step, op);
  }
  if (choice < 50 && attempt.phase < Phase::streaming) {
    op.kind = OpKind::attempt;
    return push(shard, step, op);
  }
  if (attempt.phase < Phase::streaming) return phase_ops(shard, place, step);
  if (attempt.phase == Phase::streaming) stream_op(shard, place, step);
}

}  // namespace sluice::sim
