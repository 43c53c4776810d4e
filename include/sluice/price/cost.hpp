// What counted tokens cost. Pure functions: no allocation, no state, 128-bit intermediates, rounded
// up once.
#pragma once

#include <array>
#include <cstdint>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/price/row.hpp"

namespace sluice::price {

/// Usage in the normal form: classes are disjoint, their sum without `output` is the prompt.
struct TokenCounts {
  Tokens input = 0;  ///< not cached; includes tool-use prompt tokens
  Tokens cache_read = 0;
  Tokens cache_write_short = 0;
  Tokens cache_write_long = 0;
  Tokens output = 0;     ///< all output, reasoning included
  Tokens reasoning = 0;  ///< part of `output`; for the record, never billed by itself
  std::array<std::uint32_t, kFees> calls{};  ///< by Fee

  /// Prompt tokens that choose the band. Counts must be in range (see clamp_counts).
  [[nodiscard]] Tokens prompt() const {
    return input + cache_read + cache_write_short + cache_write_long;
  }
  friend bool operator==(const TokenCounts&, const TokenCounts&) = default;
};

/// Forces counts into 0 … kMaxTokens (calls into 0 … kMaxCalls). Returns true if anything had to be
/// changed: such a usage is not to be believed.
bool clamp_counts(TokenCounts& counts);

/// Nanos for `counts`, ≥ 0. Σ tokens × rate × window × tier plus Σ calls × fee, all × the group's
/// multiplier, rounded up once. Fee::request is counted here like any other; estimate() and
/// charge() count it by themselves. Errors: bad_value (a count out of range, a multiplier out of
/// range), not_found (a class or fee that was counted has no price, or the tier is not sold),
/// too_large (does not fit).
[[nodiscard]] Result<Nanos> cost(const PriceRow& row, const TokenCounts& counts,
                                 const Terms& terms);

/// Nanos for `output_tokens` alone in the band of `prompt_tokens`: what an extension reserves. As
/// cost().
[[nodiscard]] Result<Nanos> output_cost(const PriceRow& row, const Terms& terms,
                                        Tokens prompt_tokens, Tokens output_tokens);

}  // namespace sluice::price
