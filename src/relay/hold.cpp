#include "hold.hpp"

#include <algorithm>
#include <utility>

#include "verb_awaiter.hpp"

namespace sluice::relay {
namespace {

// Shares of what is covered at which another slice is asked for (design §3.1).
constexpr Tokens kFirstAskPercent = 80;
constexpr Tokens kSecondAskPercent = 90;

}  // namespace

Hold::~Hold() { SLUICE_ASSERT(!open_ && !extending_); }

ring::Task<Result<state::Outcome>> Hold::reserve(const state::ReserveVerb& asked) {
  place_ = services_.places.take();
  if (place_ == state::kNoBoardEntry) co_return fail(Errc::full);
  state::PendingVerb pending;
  auto& verb = pending.verb.emplace<state::ReserveVerb>(asked);
  verb.amount = terms_.amount;
  verb.excess_max = terms_.excess_max;
  verb.price_version = row_.version;
  verb.multiplier = terms_.terms.multiplier;
  verb.tier = terms_.terms.tier;
  verb.input_estimate = terms_.input_estimate;
  pending.board_index = place_;
  co_await VerbAwaiter(services_, pending);
  if (pending.error.code != Errc::none || pending.outcome.verdict != state::Verdict::done) {
    services_.places.give_back(std::exchange(place_, state::kNoBoardEntry));
    if (pending.error.code != Errc::none) co_return std::unexpected(pending.error);
    co_return pending.outcome;
  }
  id_ = pending.outcome.hold;
  open_ = true;
  covered_ = terms_.slice * static_cast<Tokens>(terms_.choices);
  ask_at_ = covered_ * kFirstAskPercent / 100;
  co_return pending.outcome;
}

void Hold::begin_attempt(std::uint32_t channel_id) {
  services_.board.next_attempt(place_, channel_id);
  phase_ = price::Phase::reserved;
}

void Hold::note_phase(price::Phase phase) {
  if (phase <= phase_) return;
  phase_ = phase;
  services_.board.set_phase(place_, phase);
}

void Hold::note_usage(price::UsageState state, const price::TokenCounts& counts) {
  if (state == price::UsageState::final) phase_ = price::Phase::final;
  services_.board.set_usage(place_, state, counts);
}

void Hold::note_output(Tokens counted) {
  if (counted == counted_) return;
  counted_ = counted;
  services_.board.set_counted_output(place_, counted);
  if (!extends_ || counted < ask_at_) return;
  if (extending_) return;
  ask_extension();
}

// Against the windows of now: a stream may go on into another day.
state::ExtendVerb Hold::extend_verb(Nanos amount) const {
  const TimeNs now_ns = services_.reactor.realtime_ns();
  state::ExtendVerb verb{.hold = id_, .amount = amount, .expected_extensions = extensions_};
  verb.key_windows = terms_.zones->windows_at(terms_.key_zone, now_ns);
  verb.wallet_windows = terms_.key_zone == terms_.wallet_zone
                            ? verb.key_windows
                            : terms_.zones->windows_at(terms_.wallet_zone, now_ns);
  return verb;
}

void Hold::ask_extension() {
  const Tokens cap = terms_.output_cap * static_cast<Tokens>(terms_.choices);
  const Tokens remaining = cap == 0 ? 0 : std::max<Tokens>(cap - covered_, 0);
  if (cap != 0 && remaining == 0) {
    // The client's own cap is covered: a provider that goes beyond it is billed as excess.
    ask_at_ = INT64_MAX;
    return;
  }
  const price::SliceRules& rules = services_.settings.slice;
  // A burst may be ahead of what is covered: what was counted already is covered too.
  Tokens tokens = rules.standard * static_cast<Tokens>(terms_.choices) +
                  std::max<Tokens>(counted_ - covered_, 0);
  if (!extension_) extension_ = std::make_unique<state::PendingVerb>();
  if (extension_->outcome.verdict == state::Verdict::refused) {
    // Near empty the slice shrinks to what is left, not below the floor.
    const auto slice = price::next_slice(row_, rules, terms_.terms, terms_.prompt_bound,
                                         remaining, extension_->outcome.affordable);
    tokens = slice && slice->tokens > 0 ? slice->tokens : rules.floor;
  }
  if (cap != 0) tokens = std::min(tokens, remaining);
  const Result<Nanos> nanos =
      price::output_cost(row_, terms_.terms, terms_.prompt_bound, tokens);
  if (!nanos) {
    exhausted_ = true;
    return;
  }
  if (*nanos == 0) {  // free of charge: nothing to reserve
    ask_at_ = INT64_MAX;
    return;
  }
  asked_tokens_ = tokens;
  extending_ = true;
  extension_->verb = extend_verb(*nanos);
  extension_->board_index = place_;
  extension_->context = this;
  extension_->done = &Hold::on_extended;
  services_.verbs.submit(*extension_, services_.reactor.now_ns());
}

void Hold::on_extended(state::PendingVerb& verb) noexcept {
  Hold& self = *static_cast<Hold*>(verb.context);
  self.extending_ = false;
  const bool extended =
      verb.error.code == Errc::none && verb.outcome.verdict == state::Verdict::done;
  if (extended) {
    self.cover_more(self.extend_to(verb.outcome));
  } else if (self.counted_ >= self.covered_) {
    self.exhausted_ = true;
  } else {
    const Tokens second = self.covered_ * kSecondAskPercent / 100;
    self.ask_at_ = self.counted_ < second ? second : self.covered_;
  }
  if (self.closer_) self.services_.reactor.ready(std::exchange(self.closer_, nullptr));
}

// Returns by how much: usually what was asked for. Where an earlier extension is in the store whose
// outcome could not be told (its commit failed), that one is what the hold has got instead.
Nanos Hold::extend_to(const state::Outcome& outcome) noexcept {
  extensions_ = outcome.extensions;
  return outcome.held - std::exchange(terms_.amount, outcome.held);
}

// As many of the tokens that were asked for as `added` pays: usually all.
void Hold::cover_more(Nanos added) noexcept {
  const auto paid =
      price::next_slice(row_, {.standard = asked_tokens_, .floor = 0}, terms_.terms,
                        terms_.prompt_bound, 0, added);
  const Tokens tokens = paid ? paid->tokens : 0;
  ask_at_ = covered_ + tokens * kFirstAskPercent / 100;
  covered_ += tokens;
}

struct Hold::ExtensionAwaiter {
  Hold& hold;
  [[nodiscard]] bool await_ready() const noexcept { return !hold.extending_; }
  void await_suspend(std::coroutine_handle<> closer) noexcept { hold.closer_ = closer; }
  void await_resume() const noexcept {}
};

// What the hold should have covered but does not yet, because the end came in the same burst: the
// cost, as far as the counted output makes it believable.
Nanos Hold::missing(Nanos cost) const {
  if (!terms_.extends || exhausted_ || cost <= terms_.amount) return 0;
  const Tokens slice = services_.settings.slice.standard * static_cast<Tokens>(terms_.choices);
  const Tokens believable = std::max<Tokens>(2 * counted_ + slice - covered_, 0);
  const Result<Nanos> most =
      price::output_cost(row_, terms_.terms, terms_.prompt_bound, believable);
  return most ? std::min(cost - terms_.amount, *most) : 0;
}

// One last extension before the end (row 2). Refused: the rest is excess, as for any hold.
ring::Task<> Hold::cover(Nanos amount) {
  state::PendingVerb pending;
  pending.verb = extend_verb(amount);
  pending.board_index = place_;
  co_await VerbAwaiter(services_, pending);
  if (pending.error.code == Errc::none && pending.outcome.verdict == state::Verdict::done) {
    extend_to(pending.outcome);
  }
}

// What the answer costs the operator: the customer's price is a matter of his group.
Nanos Hold::upstream_cost(const price::Charge& charge, std::uint32_t multiplier) const {
  if ((charge.flags & price::kChargeVoid) != 0) return 0;
  if (multiplier == terms_.terms.multiplier) return charge.cost;
  price::Terms terms = terms_.terms;
  terms.multiplier = multiplier;
  const Result<Nanos> cost = price::cost(row_, charge.billed, terms);
  return cost ? *cost : 0;
}

ring::Task<Result<price::Charge>> Hold::close(price::End end, const price::Metered& metered,
                                              std::uint32_t cost_multiplier,
                                              state::OutboxRecord& record) {
  SLUICE_ASSERT(open_);
  co_await ExtensionAwaiter{*this};
  const auto charge_now = [&] {
    return price::charge(end, phase_, metered, &row_, terms_.terms, terms_.amount,
                         terms_.excess_max);
  };
  price::Charge charge = charge_now();
  if (const Nanos more = missing(charge.cost); more > 0) {
    co_await cover(more);
    charge = charge_now();
  }
  record.end = end;
  record.phase = phase_;
  record.input_estimate = metered.input_estimate;
  record.counted_output = metered.counted_output;
  const TimeNs now_ns = services_.reactor.now_ns();
  record.upstream_cost = upstream_cost(charge, cost_multiplier);
  state::PendingVerb pending;
  pending.board_index = place_;
  if ((charge.flags & price::kChargeVoid) != 0) {
    pending.verb = state::VoidVerb{.hold = id_, .record = &record, .now_ns = now_ns};
  } else {
    pending.verb =
        state::SettleVerb{.hold = id_, .charge = charge, .record = &record, .now_ns = now_ns};
  }
  co_await VerbAwaiter(services_, pending);
  open_ = false;
  services_.places.give_back(std::exchange(place_, state::kNoBoardEntry));
  if (pending.error.code != Errc::none) co_return std::unexpected(pending.error);
  co_return charge;
}

}  // namespace sluice::relay
