// cost() against schoolbook arithmetic of unlimited length: c is right if and only if (c-1) × D < N
// ≤ c × D, which needs no division.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "rows.hpp"
#include "sluice/base/random.hpp"
#include "sluice/price/cost.hpp"

namespace sluice::price {
namespace {

class Big {
 public:
  explicit Big(std::uint64_t value = 0)
      : limbs_{static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)} {}

  friend Big operator*(const Big& a, const Big& b) {
    Big out;
    out.limbs_.assign(a.limbs_.size() + b.limbs_.size(), 0);
    for (std::size_t i = 0; i < a.limbs_.size(); ++i) {
      std::uint64_t carry = 0;
      for (std::size_t j = 0; j < b.limbs_.size(); ++j) {
        carry += out.limbs_[i + j] + std::uint64_t{a.limbs_[i]} * b.limbs_[j];
        out.limbs_[i + j] = static_cast<std::uint32_t>(carry);
        carry >>= 32;
      }
      out.limbs_[i + b.limbs_.size()] += static_cast<std::uint32_t>(carry);
    }
    return out;
  }
  friend Big operator+(const Big& a, const Big& b) {
    Big out;
    out.limbs_.assign(std::max(a.limbs_.size(), b.limbs_.size()) + 1, 0);
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < out.limbs_.size(); ++i) {
      carry += std::uint64_t{a.limb(i)} + b.limb(i);
      out.limbs_[i] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    return out;
  }
  friend bool operator<(const Big& a, const Big& b) {
    for (std::size_t i = std::max(a.limbs_.size(), b.limbs_.size()); i-- > 0;) {
      if (a.limb(i) != b.limb(i)) return a.limb(i) < b.limb(i);
    }
    return false;
  }

 private:
  [[nodiscard]] std::uint32_t limb(std::size_t i) const {
    return i < limbs_.size() ? limbs_[i] : 0;
  }
  std::vector<std::uint32_t> limbs_;
};

/// A number whose length is random as well, so that small and large ones both occur.
std::uint64_t any_up_to(Rng& rng, std::uint64_t most) {
  return (rng.next_u64() >> (rng.next_u64() % 64)) % (most + 1);
}

TEST(CostProperty, AgreesWithUnlimitedArithmetic) {
  SeededRng rng(20'261'122);
  int overflows = 0;
  for (int round = 0; round < 100'000; ++round) {
    PriceRow row;
    row.version = 1;
    const auto rate = [&] {
      return static_cast<Nanos>(any_up_to(rng, static_cast<std::uint64_t>(kMaxRate)));
    };
    row.base = {rate(), rate(), rate(), rate(), rate(), {}};
    row.fees[1] = rate();
    row.tiers[0] = static_cast<std::uint32_t>(1 + any_up_to(rng, kMaxMultiplier - 1));
    row.windows[0] = {
        static_cast<std::uint32_t>(1 + any_up_to(rng, kMaxMultiplier - 1)), 0, 1440, 127, {}};
    Terms terms;
    terms.multiplier = static_cast<std::uint32_t>(1 + any_up_to(rng, kMaxMultiplier - 1));
    TokenCounts counts;
    const auto tokens = [&] {
      return static_cast<Tokens>(any_up_to(rng, static_cast<std::uint64_t>(kMaxTokens)));
    };
    counts.input = tokens();
    counts.cache_read = tokens();
    counts.cache_write_short = tokens();
    counts.cache_write_long = tokens();
    counts.output = tokens();
    counts.calls[1] = static_cast<std::uint32_t>(any_up_to(rng, kMaxCalls));

    const auto product = [](Tokens count, Nanos price) {
      return Big(static_cast<std::uint64_t>(count)) * Big(static_cast<std::uint64_t>(price));
    };
    const Big classes = product(counts.input, row.base.input) +
                        product(counts.cache_read, row.base.cache_read) +
                        product(counts.cache_write_short, row.base.cache_write_short) +
                        product(counts.cache_write_long, row.base.cache_write_long) +
                        product(counts.output, row.base.output);
    const Big numerator =
        classes * Big(row.tiers[0]) * Big(row.windows[0].multiplier) * Big(terms.multiplier) +
        product(counts.calls[1], row.fees[1]) * Big(1'000'000'000'000) * Big(terms.multiplier);
    const Big denominator(1'000'000'000'000'000);

    const Result<Nanos> nanos = cost(row, counts, terms);
    if (!nanos) {
      ASSERT_EQ(nanos.error().code, Errc::too_large);
      // Refused only if it really is above what a Nanos holds.
      ASSERT_TRUE(Big(static_cast<std::uint64_t>(std::numeric_limits<Nanos>::max())) * denominator <
                  numerator);
      ++overflows;
      continue;
    }
    const auto c = static_cast<std::uint64_t>(*nanos);
    ASSERT_FALSE(Big(c) * denominator < numerator) << "too little, round " << round;
    if (c > 0) ASSERT_TRUE(Big(c - 1) * denominator < numerator) << "too much, round " << round;
  }
  // Both sides of the boundary were visited.
  EXPECT_GT(overflows, 1000);
  EXPECT_LT(overflows, 90'000);
}

}  // namespace
}  // namespace sluice::price
