// The money of one request: reserved before the call, extended while it streams, closed exactly
// once.
#pragma once

#include <coroutine>
#include <cstdint>

#include "sluice/price/charge.hpp"
#include "sluice/price/estimate.hpp"
#include "sluice/relay/services.hpp"
#include "sluice/ring/task.hpp"
#include "sluice/state/records.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::relay {

/// What a reservation is made from. All of it but the amount is fixed for the request's life.
struct HoldTerms {
  const price::PriceRow* row = nullptr;   ///< in the request's snapshot
  const state::Catalog* zones = nullptr;  ///< of the same: says which windows are current
  std::uint32_t key_zone = 0;
  std::uint32_t wallet_zone = 0;
  price::Terms terms;
  Tokens input_estimate = 0;  ///< without margin
  Tokens prompt_bound = 0;    ///< input tokens the hold covers
  Tokens slice = 0;           ///< output tokens of one choice that the first reservation covers
  std::uint32_t choices = 1;
  Tokens output_cap = 0;  ///< the client's cap for one choice, 0 = none
  bool extends = false;   ///< a stream: more is reserved as it goes
  Nanos amount = 0;
  Nanos excess_max = 0;
};

/// Lifecycle: reserve() once; while it is open note_*() and grow(); then close() exactly once. The
/// destructor asserts that it is closed. Owner: one exchange.
class Hold {
 public:
  /// Both outlive it. `terms.amount` grows with each extension.
  Hold(Services& services, HoldTerms& terms)
      : services_(services), row_(*terms.row), extends_(terms.extends), terms_(terms) {}
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold();

  /// Row 1. `verb` holds who and when; amounts and price come from the terms. The outcome may be a
  /// refusal. Errors: those of PendingVerb, full (no place on the meter board).
  [[nodiscard]] ring::Task<Result<state::Outcome>> reserve(const state::ReserveVerb& verb);

  // Row 2b, one store each.
  void begin_attempt(std::uint32_t channel_id);
  void note_phase(price::Phase phase);
  [[nodiscard]] price::Phase phase() const { return phase_; }
  void note_usage(price::UsageState state, const price::TokenCounts& counts);

  /// Tells how much output was counted so far; asks for another slice at 80, 90 and 100 % of what
  /// is covered (row 2). The answer comes in a later turn.
  void note_output(Tokens counted);
  /// All that is covered has been used and another slice was refused: the stream must be cut.
  [[nodiscard]] bool exhausted() const { return exhausted_; }
  /// Why the last extension was refused.
  [[nodiscard]] state::Limit refused_limit() const {
    return extension_ ? extension_->outcome.limit : state::Limit::balance;
  }

  /// Rows 3, 4 and 7: closes the hold by the table of ends. `record` gets the amounts
  /// and stays until the end. `cost_multiplier`: of the channel, thousandths of list price. Waits
  /// for an extension in flight. A charge of 0 with nothing sent is a void. Errors: unavailable,
  /// stale_epoch (the reaper closes it).
  [[nodiscard]] ring::Task<Result<price::Charge>> close(price::End end,
                                                        const price::Metered& metered,
                                                        std::uint32_t cost_multiplier,
                                                        state::OutboxRecord& record);

  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] const HoldTerms& terms() const { return terms_; }
  /// Output that a model is reckoned to make in `elapsed_ns` without showing it (price/estimate).
  [[nodiscard]] Tokens hidden_tokens(TimeNs elapsed_ns) const {
    return price::hidden_tokens(row_, elapsed_ns);
  }
  [[nodiscard]] Nanos amount() const { return terms_.amount; }

 private:
  void ask_extension();
  [[nodiscard]] state::ExtendVerb extend_verb(Nanos amount) const;
  [[nodiscard]] Nanos missing(Nanos cost) const;
  [[nodiscard]] Nanos upstream_cost(const price::Charge& charge, std::uint32_t multiplier) const;
  [[nodiscard]] ring::Task<> cover(Nanos amount);
  Nanos extend_to(const state::Outcome& outcome) noexcept;
  void cover_more(Nanos added) noexcept;
  static void on_extended(state::PendingVerb& verb) noexcept;
  struct ExtensionAwaiter;

  // What each piece of a stream needs, in one line of the cache.
  Services& services_;
  const price::PriceRow& row_;
  Tokens counted_ = 0;
  Tokens ask_at_ = 0;  ///< counted output at which the next extension is asked for
  std::uint32_t place_ = state::kNoBoardEntry;
  price::Phase phase_ = price::Phase::reserved;
  const bool extends_;
  bool open_ = false;
  bool extending_ = false;
  bool exhausted_ = false;

  HoldTerms& terms_;
  state::HoldId id_;
  Tokens covered_ = 0;  ///< output tokens of all choices that the hold pays
  Tokens asked_tokens_ = 0;
  std::uint32_t extensions_ = 0;
  std::unique_ptr<state::PendingVerb> extension_;  ///< made when the first extension is asked for
  std::coroutine_handle<> closer_;
};

}  // namespace sluice::relay
