// What a request may cost, before it runs: the hold is an upper bound by class.
#pragma once

#include <array>
#include <cstdint>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/price/cost.hpp"
#include "sluice/price/row.hpp"

namespace sluice::price {

/// Which cache writes a request can cause. `any` is the safe answer.
enum class CacheWrites : std::uint8_t { none, short_only, any };

struct EstimateInput {
  Tokens input_tokens = 0;  ///< class counter's estimate of the text, without margin
  /// images and audio, at flat sizes that are upper bounds already: no margin
  Tokens flat_tokens = 0;
  Tokens output_tokens = 0;   ///< slice (stream) or maximum (whole answer) of one choice
  std::uint32_t choices = 1;  ///< `n` of the request: multiplies output
  CacheWrites cache_writes = CacheWrites::any;
  /// input that is not in the body: reserve the context window as input
  bool whole_context = false;
  std::array<std::uint32_t, kFees> calls{};  ///< calls that the request allows
};

/// Input tokens that the hold must cover: text × margin, plus flat, or the context window if that
/// is more and asked for. Errors: bad_value.
[[nodiscard]] Result<Tokens> input_bound(const PriceRow& row, const EstimateInput& in);

/// Amount of the hold. Input at the dearer of uncached and the possible cache writes, in the
/// dearest band that the bound may reach; output × choices; calls × fee. Always ≥ cost() of any
/// usage within these bounds. Errors: as cost(); not_found also when whole_context is asked and the
/// row does not know its context.
[[nodiscard]] Result<Nanos> estimate(const PriceRow& row, const EstimateInput& in,
                                     const Terms& terms);

/// Output tokens of one choice that `balance` pays for, on top of what `in` costs without output,
/// at most `in.output_tokens`. 0 = not even one. For `clamp` and for saying what would have been
/// affordable.
[[nodiscard]] Result<Tokens> affordable_output(const PriceRow& row, const EstimateInput& in,
                                               const Terms& terms, Nanos balance);

struct SliceRules {
  Tokens standard = 1024;  ///< output tokens reserved at a time while streaming
  Tokens floor = 64;       ///< near empty the slice shrinks to this, not below
};

/// First slice of a stream: the standard slice, less where the client's cap or the model's maximum
/// is less. `max_tokens` and `model_max`: 0 = none. At least 1.
[[nodiscard]] Tokens first_slice(const SliceRules& rules, Tokens max_tokens, Tokens model_max);

struct Slice {
  Tokens tokens = 0;  ///< 0 = not even the floor is affordable
  Nanos nanos = 0;
};

/// Next slice of a running stream: the standard slice, shrunk to what `balance` pays, at most
/// `remaining` tokens to the cap (0 = no cap). Below the floor only when less than the floor
/// remains to the cap.
[[nodiscard]] Result<Slice> next_slice(const PriceRow& row, const SliceRules& rules,
                                       const Terms& terms, Tokens prompt_tokens, Tokens remaining,
                                       Nanos balance);

/// Output tokens that a hidden_output model may have produced in `elapsed_ns` without streaming; 0
/// for others.
[[nodiscard]] Tokens hidden_tokens(const PriceRow& row, TimeNs elapsed_ns);

}  // namespace sluice::price
