#include "price_columns.hpp"

#include <algorithm>
#include <vector>

#include "number_list.hpp"

namespace sluice::ledger {
namespace {

constexpr std::size_t kBandNumbers = 6;
constexpr std::size_t kWindowNumbers = 4;

template <class T, std::size_t N>
void copy_numbers(std::string_view text, std::array<T, N>& out) {
  const auto numbers = read_list(text);
  for (std::size_t i = 0; i < std::min(N, numbers.size()); ++i) out[i] = static_cast<T>(numbers[i]);
}

}  // namespace

PriceColumns to_columns(const price::PriceRow& row) {
  std::vector<std::int64_t> bands;
  for (const price::Band& band : row.bands) {
    if (band.above_prompt_tokens == 0) continue;
    const price::Rates& rates = band.rates;
    bands.insert(bands.end(), {band.above_prompt_tokens, rates.input, rates.cache_read,
                               rates.cache_write_short, rates.cache_write_long, rates.output});
  }
  std::vector<std::int64_t> windows;
  for (const price::Window& window : row.windows) {
    if (window.multiplier == 0) continue;
    windows.insert(windows.end(),
                   {window.multiplier, window.start_minute, window.end_minute, window.weekdays});
  }
  std::vector<std::int64_t> holidays;
  for (const std::uint16_t day : row.holidays) {
    if (day != 0) holidays.push_back(day);
  }
  return {write_list(row.fees), write_list(bands), write_list(windows), write_list(holidays),
          write_list(row.tiers)};
}

void from_columns(const PriceColumns& columns, price::PriceRow& row) {
  copy_numbers(columns.fees, row.fees);
  copy_numbers(columns.holidays, row.holidays);
  copy_numbers(columns.tiers, row.tiers);
  const auto bands = read_list(columns.bands);
  for (std::size_t i = 0; i < std::min(price::kBands, bands.size() / kBandNumbers); ++i) {
    const std::int64_t* numbers = &bands[i * kBandNumbers];
    price::Band& band = row.bands[i];
    band.above_prompt_tokens = numbers[0];
    band.rates.input = numbers[1];
    band.rates.cache_read = numbers[2];
    band.rates.cache_write_short = numbers[3];
    band.rates.cache_write_long = numbers[4];
    band.rates.output = numbers[5];
  }
  const auto windows = read_list(columns.windows);
  for (std::size_t i = 0; i < std::min(price::kWindows, windows.size() / kWindowNumbers); ++i) {
    const std::int64_t* numbers = &windows[i * kWindowNumbers];
    price::Window& window = row.windows[i];
    window.multiplier = static_cast<std::uint32_t>(numbers[0]);
    window.start_minute = static_cast<std::uint16_t>(numbers[1]);
    window.end_minute = static_cast<std::uint16_t>(numbers[2]);
    window.weekdays = static_cast<std::uint8_t>(numbers[3]);
  }
}

}  // namespace sluice::ledger
