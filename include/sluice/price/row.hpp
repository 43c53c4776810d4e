// One price row: what a model costs a customer from one date on. Flat and trivially copyable: it is
// stored as it is in the catalog file and copied into nothing larger than itself.
#pragma once

#include <array>
#include <cstdint>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"

namespace sluice::price {

inline constexpr std::size_t kBands = 3;      ///< overrides besides the base rates
inline constexpr std::size_t kWindows = 4;    ///< time-of-day windows
inline constexpr std::size_t kHolidays = 24;  ///< dates on which no window applies
inline constexpr std::size_t kTiers = 4;
inline constexpr std::size_t kFees = 6;

inline constexpr Nanos kNoPrice = -1;  ///< "not priced": an error when it is needed, never free
inline constexpr Nanos kMaxRate = 1'000'000 * kNanosPerUsd;  ///< 10^6 USD a million tokens
inline constexpr Tokens kMaxTokens =
    1'000'000'000;  ///< of one class in one request; above is absurd
inline constexpr std::uint32_t kMaxCalls = 100'000;  ///< of one fee in one request; above is absurd
inline constexpr std::uint32_t kOne = 1000;          ///< thousandths: a multiplier of 1
inline constexpr std::uint32_t kMaxMultiplier = 1'000'000;  ///< 1000 ×

/// Nanos per million tokens, by class of the usage normal form (facts of the providers: input that
/// was not cached, read from cache, written to a short or a long cache, output including
/// reasoning).
struct Rates {
  Nanos input = kNoPrice;
  Nanos cache_read = kNoPrice;
  Nanos cache_write_short = kNoPrice;
  Nanos cache_write_long = kNoPrice;
  Nanos output = kNoPrice;
  std::array<Nanos, 3> reserved{};  ///< room for audio and image classes; must be 0
};

/// Rates of the *whole* request when its prompt (input + cache read + cache written) has more than
/// `above_prompt_tokens` tokens. Unused slots have 0 there. Used slots come first, thresholds
/// ascending.
struct Band {
  Tokens above_prompt_tokens = 0;
  Rates rates;
};

/// A span of minutes on some weekdays in which rates are multiplied. Fees are not. Does not pass
/// midnight. Used slots come first; where spans overlap, the first one counts.
struct Window {
  std::uint32_t multiplier = 0;    ///< thousandths; 0 = unused slot
  std::uint16_t start_minute = 0;  ///< of the UTC day, inclusive
  std::uint16_t end_minute = 0;    ///< of the UTC day, exclusive, at most 1440
  std::uint8_t weekdays = 0;       ///< bit 0 = Monday … bit 6 = Sunday
  std::array<std::uint8_t, 7> reserved{};
};

/// Service tiers that change the price of a request. The number is the index into PriceRow::tiers.
enum class Tier : std::uint8_t { standard = 0, flex = 1, priority = 2, batch = 3 };

/// What is charged by the call. The number is the index into PriceRow::fees and TokenCounts::calls.
enum class Fee : std::uint8_t {
  request = 0,
  web_search = 1,
  file_search = 2,
  code_execution = 3,
  image = 4,
  other = 5,
};

enum RowFlags : std::uint32_t {
  kRowFree = 1U << 0,          ///< every amount is 0 and means it
  kRowHiddenOutput = 1U << 1,  ///< bills output (reasoning) that it does not stream
};

struct PriceRow {
  std::uint64_t version = 0;     ///< unique for ever; holds and outbox rows name it. Never 0
  TimeNs effective_from_ns = 0;  ///< realtime
  Rates base;
  std::array<Band, kBands> bands{};
  std::array<Window, kWindows> windows{};
  std::array<std::uint16_t, kHolidays> holidays{};         ///< UTC days since 1970; 0 = unused slot
  std::array<std::uint32_t, kTiers> tiers{kOne, 0, 0, 0};  ///< thousandths; 0 = tier is not sold
  std::array<Nanos, kFees> fees{kNoPrice, kNoPrice, kNoPrice,
                                kNoPrice, kNoPrice, kNoPrice};  ///< a call
  std::uint32_t flags = 0;                                      ///< RowFlags
  std::uint32_t input_margin = 1300;  ///< thousandths on the input estimate; Anthropic 1700
  /// accrual while nothing is streamed (kRowHiddenOutput)
  std::uint32_t hidden_tokens_per_s = 100;
  std::uint32_t reserved0 = 0;
  Tokens max_output_tokens = 0;  ///< 0 = not known
  Tokens context_tokens = 0;     ///< 0 = not known
  std::array<std::uint64_t, 4> reserved{};

  [[nodiscard]] bool free() const { return (flags & kRowFree) != 0; }
  [[nodiscard]] bool hidden_output() const { return (flags & kRowHiddenOutput) != 0; }
};

/// What, besides the row, decides a price. Kept in the hold, so that a reaper charges as the owner
/// would have.
struct Terms {
  TimeNs at_ns = 0;                 ///< realtime of admission: decides the time-of-day window
  std::uint32_t multiplier = kOne;  ///< of the customer group, thousandths; on rates and fees
  Tier tier = Tier::standard;
};

/// Checks a row before it is published: every rate given and in 0 … kMaxRate (all zero only with
/// kRowFree), bands ascending, windows and multipliers in range, `request` fee may be kNoPrice
/// (none is charged). Errors: Errc::bad_value.
[[nodiscard]] Result<> validate(const PriceRow& row);

/// Base rates, or those of the highest band that `prompt_tokens` exceeds.
[[nodiscard]] const Rates& rates_for(const PriceRow& row, Tokens prompt_tokens);

/// Multiplier of the first time-of-day window that contains `at_ns` (realtime), thousandths; kOne
/// outside of all.
[[nodiscard]] std::uint32_t window_multiplier(const PriceRow& row, TimeNs at_ns);

}  // namespace sluice::price
