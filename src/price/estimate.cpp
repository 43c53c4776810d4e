#include "sluice/price/estimate.hpp"

#include <algorithm>
#include <limits>

#include "wide.hpp"

namespace sluice::price {
namespace {

/// The dearest price that a prompt token can have: uncached, read, or one of the writes that may
/// happen.
Nanos dearest_input(const Rates& rates, CacheWrites writes) {
  Nanos dearest = std::max(rates.input, rates.cache_read);
  if (writes != CacheWrites::none) dearest = std::max(dearest, rates.cache_write_short);
  if (writes == CacheWrites::any) dearest = std::max(dearest, rates.cache_write_long);
  return dearest;
}

Result<Nanos> estimate_at(const Rates& rates, const PriceRow& row, const TokenCounts& bound,
                          const EstimateInput& in, const Terms& terms) {
  Rates dearest = rates;
  // A class without price would be an error if it were used; the others must not hide it.
  if (rates.input < 0) return fail(Errc::not_found);
  dearest.input = dearest_input(rates, in.cache_writes);
  return cost_at(dearest, row, bound, terms);
}

/// The counts of the bound: everything in the input class, output of all choices, calls.
Result<TokenCounts> bound_counts(const PriceRow& row, const EstimateInput& in) {
  const Result<Tokens> prompt = input_bound(row, in);
  if (!prompt) return std::unexpected(prompt.error());
  if (in.output_tokens < 0 || in.output_tokens > kMaxTokens || in.choices == 0) {
    return fail(Errc::bad_value);
  }
  if (in.output_tokens > kMaxTokens / static_cast<Tokens>(in.choices)) return fail(Errc::bad_value);
  TokenCounts counts;
  counts.input = *prompt;
  counts.output = in.output_tokens * static_cast<Tokens>(in.choices);
  counts.calls = in.calls;
  const auto request = static_cast<std::size_t>(Fee::request);
  counts.calls[request] = row.fees[request] == kNoPrice ? 0 : 1;
  return counts;
}

/// Largest n in low … high for which `fits(n)` holds, which is true up to some n and false after
/// it; `low` is known to fit.
template <class Fits>
Tokens last_that_fits(Tokens low, Tokens high, Fits fits) {
  while (low < high) {
    const Tokens middle = low + (high - low + 1) / 2;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace

Result<Tokens> input_bound(const PriceRow& row, const EstimateInput& in) {
  if (in.input_tokens < 0 || in.input_tokens > kMaxTokens || in.flat_tokens < 0 ||
      in.flat_tokens > kMaxTokens) {
    return fail(Errc::bad_value);
  }
  const Tokens margin = static_cast<Tokens>(row.input_margin);
  const Tokens one = static_cast<Tokens>(kOne);
  Tokens bound = (in.input_tokens * margin + one - 1) / one + in.flat_tokens;
  if (in.whole_context) {
    if (row.context_tokens <= 0) return fail(Errc::not_found);
    bound = std::max(bound, row.context_tokens);
  }
  if (bound > kMaxTokens) return fail(Errc::bad_value);
  return bound;
}

Result<Nanos> estimate(const PriceRow& row, const EstimateInput& in, const Terms& terms) {
  const Result<TokenCounts> bound = bound_counts(row, in);
  if (!bound) return std::unexpected(bound.error());
  Result<Nanos> most = estimate_at(row.base, row, *bound, in, terms);
  // A higher band need not be dearer in every class: take the dearest that the margin may reach.
  for (const Band& band : row.bands) {
    if (!most || band.above_prompt_tokens == 0 || bound->input <= band.above_prompt_tokens) break;
    const Result<Nanos> there = estimate_at(band.rates, row, *bound, in, terms);
    if (!there || *there > *most) most = there;
  }
  return most;
}

Result<Tokens> affordable_output(const PriceRow& row, const EstimateInput& in, const Terms& terms,
                                 Nanos balance) {
  const Result<Nanos> whole = estimate(row, in, terms);
  if (!whole) return std::unexpected(whole.error());
  if (*whole <= balance) return in.output_tokens;
  const auto fits = [&](Tokens tokens) {
    EstimateInput smaller = in;
    smaller.output_tokens = tokens;
    const Result<Nanos> hold = estimate(row, smaller, terms);
    return hold && *hold <= balance;
  };
  if (!fits(0)) return 0;
  return last_that_fits(0, in.output_tokens, fits);
}

Tokens first_slice(const SliceRules& rules, Tokens max_tokens, Tokens model_max) {
  Tokens slice = rules.standard;
  if (max_tokens > 0) slice = std::min(slice, max_tokens);
  if (model_max > 0) slice = std::min(slice, model_max);
  return std::max<Tokens>(slice, 1);
}

Result<Slice> next_slice(const PriceRow& row, const SliceRules& rules, const Terms& terms,
                         Tokens prompt_tokens, Tokens remaining, Nanos balance) {
  const Tokens most = remaining > 0 ? std::min(rules.standard, remaining) : rules.standard;
  const Tokens least = std::min(rules.floor, most);
  const Result<Nanos> whole = output_cost(row, terms, prompt_tokens, most);
  if (!whole) return std::unexpected(whole.error());
  if (*whole <= balance) return Slice{most, *whole};
  const auto fits = [&](Tokens tokens) {
    const Result<Nanos> nanos = output_cost(row, terms, prompt_tokens, tokens);
    return nanos && *nanos <= balance;
  };
  if (!fits(least)) return Slice{};
  const Tokens tokens = last_that_fits(least, most, fits);
  const Result<Nanos> nanos = output_cost(row, terms, prompt_tokens, tokens);
  if (!nanos) return std::unexpected(nanos.error());
  return Slice{tokens, *nanos};
}

Tokens hidden_tokens(const PriceRow& row, TimeNs elapsed_ns) {
  if (!row.hidden_output() || elapsed_ns <= 0) return 0;
  const Wide tokens =
      (static_cast<Wide>(elapsed_ns) * row.hidden_tokens_per_s + kSecond - 1) / kSecond;
  return static_cast<Tokens>(std::min(tokens, static_cast<Wide>(kMaxTokens)));
}

}  // namespace sluice::price
