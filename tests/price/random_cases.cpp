#include "random_cases.hpp"

#include <limits>

namespace sluice::price {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr TimeNs kDayNs = 86'400 * kSecond;
constexpr TimeNs kMinuteNs = 60 * kSecond;

// 10^9 tokens at (2^63 − 1) / 16513 nanos a million, times 16.513, are 2^63 − 1 nanos exactly; the
// output of a row one step below fills what is missing, a fraction at a time.
constexpr std::uint32_t kLadderMultiplier = 16'513;
constexpr Nanos kLadderRate = kMost / kLadderMultiplier;
constexpr Nanos kLadderOutputs[] = {999'939'441, 999'939'442, 1'000'000'000, 1'000'000'001};

// Powers of two whose product, 2^29 tokens included, is 2^128: cut to 128 bits it would be nothing.
constexpr Tokens kWrapTokens = Tokens{1} << 29;
constexpr Nanos kWrapRate = Nanos{1} << 49;
constexpr std::uint32_t kWrapTierAndWindow = 1U << 19;
constexpr std::uint32_t kWrapGroup = 1U << 12;

Nanos draw_rate(Draw& draw, RowKind kind) {
  switch (kind) {
    case RowKind::everyday:
      return draw.between(0, 200'000) * 1'000'000;
    case RowKind::rounding:
      return draw.between(0, 20) * 1'000'000 +
             draw.of<Nanos>({0, 1, 499'999, 500'000, 500'001, 999'999});
    case RowKind::damaged:
      if (draw.one_in(6)) return draw.of<Nanos>({kNoPrice, kLeast, kMaxRate + 1, kMost});
      return draw.up_to(kMaxRate);
    case RowKind::any:
    case RowKind::ladder:
    case RowKind::wrap:
      break;
  }
  return draw.up_to(kMaxRate);
}

Rates draw_rates(Draw& draw, RowKind kind) {
  Rates rates;
  for (Nanos* rate : {&rates.input, &rates.cache_read, &rates.cache_write_short,
                      &rates.cache_write_long, &rates.output}) {
    *rate = draw_rate(draw, kind);
  }
  return rates;
}

void draw_windows(Draw& draw, RowKind kind, PriceRow& row) {
  for (std::size_t i = draw.below(kWindows + 1); i-- > 0;) {
    Window& window = row.windows[i];
    window.start_minute = static_cast<std::uint16_t>(draw.up_to(1439));
    window.end_minute = static_cast<std::uint16_t>(draw.between(window.start_minute + 1, 1440));
    window.weekdays = static_cast<std::uint8_t>(draw.between(1, 127));
    window.multiplier = static_cast<std::uint32_t>(draw.between(1, kMaxMultiplier));
    if (kind == RowKind::everyday) window.multiplier = draw.of<std::uint32_t>({500, 750, 2000});
    if (kind == RowKind::rounding) window.multiplier = draw.of<std::uint32_t>({1, 500, 1000, 1001});
    if (kind == RowKind::damaged && draw.one_in(4))
      window.multiplier = draw.of({0U, kMaxMultiplier + 1});
  }
  for (std::size_t i = draw.below(4); i-- > 0;) {
    row.holidays[i] = static_cast<std::uint16_t>(draw.between(1, 65'535));
  }
}

PriceRow ladder_row(Draw& draw) {
  PriceRow row;
  const bool below = draw.one_in(2);
  const Nanos input = below ? kLadderRate - 1 : kLadderRate;
  const Nanos output =
      below ? draw.of({kLadderOutputs[0], kLadderOutputs[1], kLadderOutputs[2], kLadderOutputs[3]})
            : draw.of<Nanos>({0, 1, kMaxRate});
  row.base = {input, input, input, input, output, {}};
  return row;
}

PriceRow wrap_row() {
  PriceRow row;
  row.base = {kWrapRate, kWrapRate, kWrapRate, kWrapRate, kWrapRate, {}};
  row.tiers[0] = kWrapTierAndWindow;
  row.windows[0] = {kWrapTierAndWindow, 0, 1440, 127, {}};
  return row;
}

std::uint32_t draw_multiplier(Draw& draw, RowKind kind) {
  switch (kind) {
    case RowKind::everyday:
      return draw.of<std::uint32_t>({kOne, kOne, 900, 1150});
    case RowKind::rounding:
      return draw.of<std::uint32_t>({kOne, 1, 500, 999, 1001});
    case RowKind::ladder:
      return kLadderMultiplier;
    case RowKind::wrap:
      return draw.of({kWrapGroup, kWrapGroup / 2, kWrapGroup * 2});
    case RowKind::any:
    case RowKind::damaged:
      break;
  }
  if (draw.one_in(32)) return draw.of<std::uint32_t>({0, kMaxMultiplier + 1, ~0U});
  return draw.one_in(4) ? kOne : static_cast<std::uint32_t>(draw.between(1, kMaxMultiplier));
}

/// A moment, often at or one nanosecond beside the edge of a window, sometimes on a holiday.
TimeNs draw_time(Draw& draw, const PriceRow& row) {
  TimeNs day = draw.between(0, 100'000);
  if (draw.one_in(4)) day = row.holidays[draw.below(3)];
  const Window& window = row.windows[draw.below(kWindows)];
  TimeNs in_day = draw.up_to(kDayNs - 1);
  if (draw.one_in(2)) {
    in_day = draw.of({window.start_minute, window.end_minute}) * kMinuteNs +
             draw.of<TimeNs>({0, -1, 1, kMinuteNs});
  }
  return std::max<TimeNs>(day * kDayNs + in_day, 0);
}

Tokens draw_tokens(Draw& draw, RowKind kind) {
  if (kind == RowKind::everyday) return draw.up_to(200'000);
  if (kind == RowKind::rounding) return draw.between(0, 20);
  return draw.up_to(kMaxTokens);
}

std::uint32_t draw_calls(Draw& draw) {
  return draw.one_in(4) ? static_cast<std::uint32_t>(draw.up_to(kMaxCalls)) : 0;
}

void make_absurd(Draw& draw, TokenCounts& counts) {
  const Tokens absurd = draw.of<Tokens>({-1, -1'000'000, kMaxTokens + 1, kLeast, kMost});
  Tokens* classes[] = {
      &counts.input,  &counts.cache_read, &counts.cache_write_short, &counts.cache_write_long,
      &counts.output, &counts.reasoning};
  if (draw.one_in(4)) {
    counts.calls[draw.below(kFees)] = draw.of<std::uint32_t>({kMaxCalls + 1, ~0U});
  } else {
    *classes[draw.below(6)] = absurd;
  }
}

}  // namespace

RowKind draw_kind(Draw& draw) {
  return draw.of({RowKind::everyday, RowKind::everyday, RowKind::any, RowKind::any, RowKind::any,
                  RowKind::rounding, RowKind::rounding, RowKind::ladder, RowKind::damaged,
                  RowKind::wrap});
}

PriceRow draw_row(Draw& draw, RowKind kind) {
  if (kind == RowKind::ladder) return ladder_row(draw);
  if (kind == RowKind::wrap) return wrap_row();
  PriceRow row;
  row.base = draw_rates(draw, kind);
  Tokens threshold = 0;
  for (std::size_t i = 0, bands = draw.below(kBands + 1); i < bands; ++i) {
    threshold += kind == RowKind::rounding ? draw.between(1, 20) : draw.between(1, kMaxTokens / 4);
    row.bands[i] = {threshold, draw_rates(draw, kind)};
  }
  if (draw.one_in(2)) draw_windows(draw, kind, row);
  for (std::size_t i = 1; i < kTiers; ++i) {
    row.tiers[i] = draw.one_in(3) ? 0 : static_cast<std::uint32_t>(draw.between(1, kMaxMultiplier));
  }
  if (draw.one_in(8)) row.tiers[0] = static_cast<std::uint32_t>(draw.between(1, kMaxMultiplier));
  if (kind == RowKind::damaged && draw.one_in(4)) row.tiers[0] = draw.of({0U, ~0U});
  for (Nanos& fee : row.fees) {
    if (draw.one_in(2)) fee = draw_rate(draw, kind);
  }
  row.input_margin = static_cast<std::uint32_t>(draw.between(kOne, 100 * kOne));
  if (draw.one_in(2)) row.input_margin = draw.of<std::uint32_t>({1000, 1001, 1300, 1700});
  if (draw.one_in(2)) row.flags |= kRowHiddenOutput;
  row.hidden_tokens_per_s = static_cast<std::uint32_t>(draw.up_to(100'000));
  row.context_tokens = draw.up_to(kMaxTokens);
  return row;
}

Terms draw_terms(Draw& draw, RowKind kind, const PriceRow& row) {
  Terms terms;
  terms.at_ns = draw_time(draw, row);
  terms.multiplier = draw_multiplier(draw, kind);
  if (kind != RowKind::ladder && kind != RowKind::wrap && draw.one_in(4))
    terms.tier = static_cast<Tier>(draw.below(kTiers));
  if (draw.one_in(64)) terms.tier = static_cast<Tier>(draw.of({4, 255}));
  return terms;
}

TokenCounts draw_counts(Draw& draw, RowKind kind, const PriceRow& row) {
  TokenCounts counts;
  if (kind == RowKind::ladder) {
    counts.input = kMaxTokens - (draw.one_in(8) ? 1 : 0);
    counts.output = draw.of<Tokens>({0, 1, 1});
    return counts;
  }
  if (kind == RowKind::wrap) {
    counts.input = kWrapTokens + draw.of<Tokens>({0, 0, 1, -1});
    return counts;
  }
  for (Tokens* tokens : {&counts.input, &counts.cache_read, &counts.cache_write_short,
                         &counts.cache_write_long, &counts.output, &counts.reasoning}) {
    if (!draw.one_in(3)) *tokens = draw_tokens(draw, kind);
  }
  const Tokens threshold = row.bands[draw.below(kBands)].above_prompt_tokens;
  if (threshold > 0 && draw.one_in(3)) {
    const Tokens others = counts.prompt() - counts.input;
    counts.input = std::max<Tokens>(threshold + draw.of<Tokens>({-1, 0, 1}) - others, 0);
  }
  for (std::uint32_t& calls : counts.calls) calls = draw_calls(draw);
  if (draw.one_in(12)) make_absurd(draw, counts);
  return counts;
}

EstimateInput draw_estimate(Draw& draw, const PriceRow& row) {
  EstimateInput in;
  in.input_tokens = draw.one_in(8) ? draw.up_to(kMaxTokens) : draw.up_to(1'000'000);
  const Tokens threshold = row.bands[draw.below(kBands)].above_prompt_tokens;
  if (draw.one_in(4)) {  // the bound lies at the edge of a band
    in.input_tokens =
        threshold * kOne / static_cast<Tokens>(row.input_margin) + draw.of<Tokens>({0, 1, 2});
  }
  if (draw.one_in(4)) in.flat_tokens = draw.up_to(100'000);
  in.output_tokens = draw.up_to(draw.one_in(8) ? kMaxTokens : 100'000);
  if (draw.one_in(4)) in.choices = static_cast<std::uint32_t>(draw.between(1, 128));
  in.cache_writes = draw.of({CacheWrites::none, CacheWrites::short_only, CacheWrites::any});
  in.whole_context = draw.one_in(8);
  for (std::uint32_t& calls : in.calls) calls = draw_calls(draw);
  if (draw.one_in(24)) {
    const Tokens absurd = draw.of<Tokens>({-1, kMaxTokens + 1, kLeast, kMost});
    *draw.of({&in.input_tokens, &in.flat_tokens, &in.output_tokens}) = absurd;
  }
  if (draw.one_in(64)) in.choices = draw.of({0U, ~0U});
  return in;
}

TokenCounts draw_within(Draw& draw, const PriceRow& row, const EstimateInput& in,
                        Tokens input_bound) {
  TokenCounts counts;
  Tokens left = draw.one_in(4) ? input_bound : draw.up_to(input_bound);
  const auto take = [&](Tokens& tokens) {
    tokens = draw.one_in(2) ? draw.up_to(left) : 0;
    left -= tokens;
  };
  take(counts.cache_read);
  if (in.cache_writes != CacheWrites::none) take(counts.cache_write_short);
  if (in.cache_writes == CacheWrites::any) take(counts.cache_write_long);
  counts.input = left;
  counts.output = draw.up_to(in.output_tokens * static_cast<Tokens>(in.choices));
  for (std::size_t i = 0; i < kFees; ++i) {
    counts.calls[i] = static_cast<std::uint32_t>(draw.up_to(in.calls[i]));
  }
  const auto request = static_cast<std::size_t>(Fee::request);
  counts.calls[request] = row.fees[request] == kNoPrice ? 0 : 1;
  return counts;
}

Nanos draw_near(Draw& draw, Nanos near) {
  switch (draw.below(8)) {
    case 0:
      return near;
    case 1:
      return near < kMost ? near + 1 : near;
    case 2:
      return near > 0 ? near - 1 : near;
    case 3:
      return near / 2;
    case 4:
      return draw.of<Nanos>({0, -1, kLeast, kMost});
    default:
      return draw.up_to(kMost);
  }
}

}  // namespace sluice::price
