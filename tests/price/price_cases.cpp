// price_cases SEED FIRST GROUPS: what production says of random cases, for property_check.py.
//
// The output is 64-bit little-endian words. A group is one price row, kCases cases of it and the
// bounds of one estimate; the order of its words is that of the functions below, and their number
// is checked there and here. Group n depends on SEED and n alone.
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <vector>

#include "random_cases.hpp"
#include "sluice/base/assert.hpp"

namespace sluice::price {
namespace {

constexpr int kCases = 8;
constexpr std::size_t kRowWords = 79;
constexpr std::size_t kCaseWords = 54;
constexpr std::size_t kBoundWords = 44;
constexpr std::size_t kGroupWords = kRowWords + kCases * kCaseWords + kBoundWords;

class Words {
 public:
  void add(std::int64_t value) { words_.push_back(value); }
  void add(std::uint64_t value) { words_.push_back(static_cast<std::int64_t>(value)); }
  template <class Enum>
    requires std::is_enum_v<Enum>
  void add(Enum value) {
    words_.push_back(static_cast<std::int64_t>(value));
  }
  void add(std::uint32_t value) { words_.push_back(value); }
  void add(bool value) { words_.push_back(value ? 1 : 0); }
  /// 0 and the value, or the error (1 bad_value, 2 not_found, 3 too_large, 9 another) and 0.
  void add(const Result<std::int64_t>& result) {
    const Errc code = result ? Errc::none : result.error().code;
    words_.push_back(code == Errc::none        ? 0
                     : code == Errc::bad_value ? 1
                     : code == Errc::not_found ? 2
                     : code == Errc::too_large ? 3
                                               : 9);
    words_.push_back(result.value_or(0));
  }
  [[nodiscard]] std::size_t size() const { return words_.size(); }
  [[nodiscard]] const std::int64_t* data() const { return words_.data(); }
  void clear() { words_.clear(); }

 private:
  std::vector<std::int64_t> words_;
};

void add_rates(Words& out, const Rates& rates) {
  out.add(rates.input);
  out.add(rates.cache_read);
  out.add(rates.cache_write_short);
  out.add(rates.cache_write_long);
  out.add(rates.output);
}

void add_row(Words& out, RowKind kind, const PriceRow& row) {
  out.add(kind);
  add_rates(out, row.base);
  for (const Band& band : row.bands) {
    out.add(band.above_prompt_tokens);
    add_rates(out, band.rates);
  }
  for (const Window& window : row.windows) {
    out.add(window.multiplier);
    out.add(std::uint32_t{window.start_minute});
    out.add(std::uint32_t{window.end_minute});
    out.add(std::uint32_t{window.weekdays});
  }
  for (const std::uint16_t holiday : row.holidays) out.add(std::uint32_t{holiday});
  for (const std::uint32_t tier : row.tiers) out.add(tier);
  for (const Nanos fee : row.fees) out.add(fee);
  out.add(row.input_margin);
  out.add(row.context_tokens);
  out.add(row.hidden_output());
  out.add(row.hidden_tokens_per_s);
  PriceRow publishable = row;
  publishable.version = 1;
  out.add(validate(publishable).has_value());
}

void add_terms(Words& out, const Terms& terms) {
  out.add(terms.at_ns);
  out.add(terms.multiplier);
  out.add(terms.tier);
}

void add_counts(Words& out, const TokenCounts& counts) {
  out.add(counts.input);
  out.add(counts.cache_read);
  out.add(counts.cache_write_short);
  out.add(counts.cache_write_long);
  out.add(counts.output);
  out.add(counts.reasoning);
  for (const std::uint32_t calls : counts.calls) out.add(calls);
}

void add_charge(Words& out, const Charge& charge) {
  out.add(charge.cost);
  out.add(charge.charged);
  out.add(charge.excess);
  out.add(charge.loss);
  out.add(charge.flags);
  add_counts(out, charge.billed);
}

/// The usage, its cost, and what a request that ended with it is charged.
void add_case(Words& out, Draw& draw, RowKind kind, const PriceRow& row) {
  const Terms terms = draw_terms(draw, kind, row);
  const TokenCounts counts = draw_counts(draw, kind, row);
  const Result<Nanos> nanos = cost(row, counts, terms);
  add_terms(out, terms);
  add_counts(out, counts);
  out.add(nanos);

  const auto end = static_cast<End>(draw.one_in(2) ? 2 : draw.below(8));
  const auto phase = static_cast<Phase>(draw.below(5));
  Metered metered;
  metered.usage = counts;
  metered.usage_state = static_cast<UsageState>(draw.one_in(2) ? 2 : draw.below(3));
  metered.input_estimate = draw.up_to(1'000'000);
  metered.counted_output = draw.one_in(4) ? draw_near(draw, counts.output) : draw.up_to(1'000'000);
  const bool has_row = !draw.one_in(32);
  // The hold, and what is allowed above it, at the edges of the cost: exact, one below, one above.
  const Nanos full = charge(end, phase, metered, &row, terms, 0, 0).cost;
  const Nanos likely = full > 0 ? full : nanos.value_or(kNanosPerUsd);
  const Nanos hold = draw_near(draw, likely);
  const Nanos excess_max = draw_near(draw, hold >= 0 && hold < likely ? likely - hold : 0);
  const Charge charged =
      charge(end, phase, metered, has_row ? &row : nullptr, terms, hold, excess_max);
  out.add(end);
  out.add(phase);
  out.add(metered.usage_state);
  out.add(metered.input_estimate);
  out.add(metered.counted_output);
  out.add(has_row);
  out.add(hold);
  out.add(excess_max);
  add_charge(out, charged);

  const Tokens prompt = draw.up_to(kMaxTokens);
  const Tokens output = draw.one_in(8) ? counts.output : draw.up_to(kMaxTokens);
  out.add(prompt);
  out.add(output);
  out.add(output_cost(row, terms, prompt, output));
  const Nanos split_cost = draw_near(draw, likely);
  const Charge parts = split(split_cost, hold, excess_max);
  out.add(split_cost);
  out.add(parts.cost);
  out.add(parts.charged);
  out.add(parts.excess);
  out.add(parts.loss);
  out.add(parts.flags);
  const TimeNs elapsed = draw.up_to(std::numeric_limits<TimeNs>::max());
  out.add(elapsed);
  out.add(hidden_tokens(row, elapsed));
}

/// The hold before a request: its amount, what a balance pays of it, and a usage within it.
void add_bound(Words& out, Draw& draw, RowKind kind, const PriceRow& row) {
  const Terms terms = draw_terms(draw, kind, row);
  const EstimateInput in = draw_estimate(draw, row);
  const Result<Nanos> amount = estimate(row, in, terms);
  const Result<Tokens> bound = input_bound(row, in);
  add_terms(out, terms);
  out.add(in.input_tokens);
  out.add(in.flat_tokens);
  out.add(in.output_tokens);
  out.add(in.choices);
  out.add(in.cache_writes);
  out.add(in.whole_context);
  for (const std::uint32_t calls : in.calls) out.add(calls);
  out.add(bound);
  out.add(amount);
  const Nanos balance = draw.up_to(amount.value_or(kNanosPerUsd));
  out.add(balance);
  out.add(affordable_output(row, in, terms, balance));
  const TokenCounts within = amount ? draw_within(draw, row, in, *bound) : TokenCounts{};
  add_counts(out, within);
  out.add(cost(row, within, terms));
  SliceRules rules;
  rules.standard = draw.between(1, 4096);
  rules.floor = draw.between(0, 128);
  const Tokens remaining = draw.one_in(2) ? 0 : draw.up_to(2048);
  const Nanos left = draw.one_in(4) ? draw.up_to(kNanosPerUsd) : balance / 64;
  const Tokens prompt = draw.up_to(kMaxTokens);
  const Result<Slice> slice = next_slice(row, rules, terms, prompt, remaining, left);
  out.add(rules.standard);
  out.add(rules.floor);
  out.add(remaining);
  out.add(left);
  out.add(prompt);
  out.add(slice ? Result<std::int64_t>(slice->tokens) : std::unexpected(slice.error()));
  out.add(slice ? slice->nanos : 0);
}

bool write_groups(std::uint64_t seed, std::uint64_t first, std::uint64_t groups) {
  Words out;
  for (std::uint64_t group = first; group < first + groups; ++group) {
    // SplitMix64's state walks in steps of one odd constant; another constant keeps groups apart.
    Draw draw(seed ^ (group * 0xD1B54A32D192ED03ULL));
    const RowKind kind = draw_kind(draw);
    const PriceRow row = draw_row(draw, kind);
    out.clear();
    add_row(out, kind, row);
    SLUICE_ASSERT(out.size() == kRowWords);
    for (int i = 0; i < kCases; ++i) add_case(out, draw, kind, row);
    SLUICE_ASSERT(out.size() == kRowWords + kCases * kCaseWords);
    add_bound(out, draw, kind, row);
    SLUICE_ASSERT(out.size() == kGroupWords);
    if (std::fwrite(out.data(), sizeof(std::int64_t), out.size(), stdout) != out.size())
      return false;
  }
  return std::fflush(stdout) == 0;
}

}  // namespace
}  // namespace sluice::price

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: price_cases SEED FIRST GROUPS\n", stderr);
    return 2;
  }
  const auto number = [&](int at) { return std::strtoull(argv[at], nullptr, 10); };
  return sluice::price::write_groups(number(1), number(2), number(3)) ? 0 : 1;
}
