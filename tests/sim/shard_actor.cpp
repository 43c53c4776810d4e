// A shard: the queue, boards and slot lock of production, driven exchange by exchange as the relay
// drives them. What the relay decides (when to extend, how it ends) the simulator decides here.
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "actor.hpp"
#include "faulty_store.hpp"
#include "sluice/state/catalog.hpp"
#include "sluice/state/catalog_builder.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/slots.hpp"
#include "sluice/state/verb_queue.hpp"

namespace sluice::sim {
namespace {

struct Exchange {
  state::PendingVerb pending;
  OpKind kind = OpKind::nothing;
  state::OutboxRecord record;
  state::HoldId hold;
  Nanos amount = 0;
  Nanos excess_max = 0;
  std::uint32_t extensions = 0;
  std::shared_ptr<const state::Catalog> catalog;  ///< of the request, whatever is published since
  const price::PriceRow* row = nullptr;
  price::Terms terms;
  price::Metered metered;
  price::Phase phase = price::Phase::reserved;
  state::WindowIds windows;
};

class Shard {
 public:
  Shard(Stage& stage, Seat& seat) : stage_(stage), seat_(seat) {}

  /// False when the process is to end.
  bool carry_out(const Command& command) {
    switch (command.what) {
      case Do::open:
        return open();
      case Do::enter:
        return enter(command);
      case Do::turn:
        turn(command);
        return true;
      default:
        if (block_ != nullptr) set_state(state::ShardState::absent);
        return false;
    }
  }

 private:
  bool refuse(const Error& error, const std::string& message) {
    seat_.reply.error = error.code;
    say(seat_, message);
    return true;
  }

  bool open() {
    std::string message;
    auto opened = state::open({.directory = stage_.state_directory.data()}, message);
    if (!opened) return refuse(opened.error(), message);
    environment_ = std::move(*opened);
    seat_.reply.epoch = environment_->epoch();
    return true;
  }

  bool enter(const Command& command) {
    auto slot =
        state::SlotLock::acquire_any(stage_.state_directory.data(), environment_->meta().slots);
    if (!slot) return refuse(slot.error(), "no free slot");
    slot_.emplace(std::move(*slot));
    number_ = slot_->slot();
    take_catalog();
    const auto prices = state::PricesInForce::load(*environment_);
    if (!prices) return refuse(prices.error(), "cannot read the catalog");
    const auto reaped = state::reap_slot(*environment_, *slot_, prices->lookup());
    if (!reaped) return refuse(reaped.error(), "cannot reap");
    block_ = &environment_->boards().shard(number_);
    board_ = environment_->boards().meter(number_);
    store_ = std::make_unique<FaultyStore>(*environment_);
    queue_ = std::make_unique<state::VerbQueue>(
        state::QueueParts{store_.get(), &environment_->boards().gate(), board_, block_,
                          &environment_->boards().admission(), number_, environment_->epoch()});
    if (command.fault == Fault::lock_dropped) slot_->release();
    seat_.reply.slot = number_;
    seat_.reply.epoch = environment_->epoch();
    return true;
  }

  void set_state(state::ShardState state) {
    block_->state.store(static_cast<std::uint32_t>(state), std::memory_order_release);
  }

  void take_catalog() {
    const auto pointer = environment_->catalog_pointer();
    if (!pointer || pointer->catalog_generation == 0) return;
    if (catalog_ && pointer->catalog_generation == catalog_->generation()) return;
    auto opened = state::Catalog::open(environment_->epoch_directory() + "/" +
                                           state::catalog_file_name(pointer->catalog_generation),
                                       pointer->catalog_hash);
    if (opened) catalog_ = std::move(*opened);
  }

  void turn(const Command& command) {
    take_catalog();
    block_->heartbeat_ns.store(command.monotonic_ns, std::memory_order_relaxed);
    block_->catalog_generation.store(catalog_ ? catalog_->generation() : 0,
                                     std::memory_order_relaxed);
    set_state(catalog_ ? state::ShardState::serving : state::ShardState::starting);
    if (!catalog_) {
      refuse({Errc::unavailable}, "no catalog");
      return;
    }
    store_->arm(command.store_fault, command.write_fault_at, command.fault);
    for (std::uint32_t& i = seat_.reply.ops_done; i < command.op_count; ++i)
      carry_out(command.ops[i], command);
    const auto turn = queue_->commit_turn(command.monotonic_ns);
    if (turn == state::VerbQueue::Turn::busy) say(seat_, "busy");
    seat_.reply.queue_empty = queue_->empty();
  }

  void carry_out(const Op& op, const Command& command) {
    Exchange& exchange = exchanges_[op.place];
    switch (op.kind) {
      case OpKind::attempt:
        board_.next_attempt(op.place, 1);
        exchange.phase = price::Phase::reserved;
        exchange.metered.counted_output = 0;
        exchange.metered.usage_state = price::UsageState::none;
        return;
      case OpKind::phase:
        exchange.phase = op.phase;
        if (command.fault == Fault::board_late && op.phase == price::Phase::sent) return;
        board_.set_phase(op.place, op.phase);
        return;
      case OpKind::counted:
        exchange.metered.counted_output = op.counted;
        board_.set_counted_output(op.place, op.counted);
        return;
      case OpKind::usage:
        exchange.metered.usage_state = op.usage_state;
        exchange.metered.usage = op.usage;
        if (op.usage_state == price::UsageState::final) exchange.phase = price::Phase::final;
        board_.set_usage(op.place, op.usage_state, op.usage);
        return;
      case OpKind::reserve:
        return reserve(exchange, op, command);
      case OpKind::extend:
        return extend(exchange, op, command);
      case OpKind::settle:
        return settle(exchange, op, command);
      case OpKind::nothing:
        return;
    }
  }

  void submit(Exchange& exchange, const Op& op, const Command& command) {
    exchange.kind = op.kind;
    exchange.pending.board_index = op.place;
    exchange.pending.context = this;
    exchange.pending.done = [](state::PendingVerb& verb) noexcept {
      static_cast<Shard*>(verb.context)->completed(verb);
    };
    queue_->submit(exchange.pending, command.monotonic_ns);
  }

  void reserve(Exchange& exchange, const Op& op, const Command& command) {
    exchange.catalog = catalog_;
    exchange.row = catalog_->price_of(*catalog_->find_model("m"), command.realtime_ns);
    if (exchange.row == nullptr) {  // as the relay: no price, no request
      exchange.kind = op.kind;
      return report(op.place, {Errc::not_found}, {});
    }
    exchange.hold = {};
    exchange.amount = op.amount;
    exchange.excess_max = op.excess_max;
    exchange.extensions = 0;
    exchange.terms = {command.realtime_ns, op.multiplier, price::Tier::standard};
    exchange.metered = {};
    exchange.metered.input_estimate = op.input_estimate;
    exchange.phase = price::Phase::reserved;
    exchange.record = {};
    exchange.record.started_at_ns = command.realtime_ns;
    exchange.record.channel_id = 1;
    exchange.windows = catalog_->windows_at(0, command.realtime_ns);
    state::ReserveVerb verb;
    verb.wallet_id = op.wallet;
    verb.key_id = op.key;
    verb.amount = op.amount;
    verb.excess_max = op.excess_max;
    verb.key_windows = verb.wallet_windows = exchange.windows;
    verb.price_version = exchange.row->version;
    verb.multiplier = op.multiplier;
    verb.model_id = 1;
    for (std::size_t i = 0; i < 8; ++i)
      verb.request_id[i] = static_cast<std::uint8_t>(op.serial >> (8 * i));
    verb.opened_at_ns = command.realtime_ns;
    verb.deadline_ns = op.deadline_ns;
    verb.now_ns = command.monotonic_ns;
    verb.input_estimate = op.input_estimate;
    verb.rate_tokens = op.input_estimate;
    exchange.pending.verb = verb;
    submit(exchange, op, command);
  }

  void extend(Exchange& exchange, const Op& op, const Command& command) {
    state::ExtendVerb verb;
    verb.hold = exchange.hold;
    verb.amount = op.amount;
    verb.expected_extensions = exchange.extensions;
    verb.key_windows = verb.wallet_windows = exchange.windows;
    exchange.pending.verb = verb;
    submit(exchange, op, command);
  }

  void settle(Exchange& exchange, const Op& op, const Command& command) {
    const price::Charge charge =
        price::charge(op.end, exchange.phase, exchange.metered, exchange.row, exchange.terms,
                      exchange.amount, exchange.excess_max);
    exchange.record.end = op.end;
    exchange.record.phase = exchange.phase;
    exchange.record.counted_output = exchange.metered.counted_output;
    if ((charge.flags & price::kChargeVoid) != 0) {
      exchange.pending.verb =
          state::VoidVerb{exchange.hold, op.with_record ? &exchange.record : nullptr};
    } else {
      exchange.pending.verb = state::SettleVerb{exchange.hold, charge, &exchange.record};
    }
    submit(exchange, op, command);
  }

  void completed(state::PendingVerb& verb) noexcept {
    Exchange& exchange = exchanges_[verb.board_index];
    const bool done = verb.error.code == Errc::none && verb.outcome.verdict == state::Verdict::done;
    if (done && exchange.kind == OpKind::reserve) exchange.hold = verb.outcome.hold;
    if (done && exchange.kind == OpKind::extend) {
      exchange.extensions = verb.outcome.extensions;
      exchange.amount = verb.outcome.held;
    }
    report(static_cast<std::uint8_t>(verb.board_index), verb.error, verb.outcome);
  }

  void report(std::uint8_t place, const Error& error, const state::Outcome& outcome) {
    Reply& reply = seat_.reply;
    reply.completions[reply.completion_count++] = {place, exchanges_[place].kind, error.code,
                                                   outcome};
  }

  Stage& stage_;
  Seat& seat_;
  std::unique_ptr<state::Environment> environment_;
  std::optional<state::SlotLock> slot_;
  state::SlotId number_ = 0;
  std::shared_ptr<const state::Catalog> catalog_;
  std::unique_ptr<FaultyStore> store_;
  state::ShardBlock* block_ = nullptr;
  state::MeterBoard board_;
  std::array<Exchange, kPlaces> exchanges_;
  std::unique_ptr<state::VerbQueue> queue_;
};

void live(Stage& stage, Seat& seat) {
  Shard shard(stage, seat);
  while (shard.carry_out(next_command(seat))) answer(seat);
}

}  // namespace

void act_shard(Stage& stage, Seat& seat) {
  live(stage, seat);
  _exit(0);
}

}  // namespace sluice::sim
