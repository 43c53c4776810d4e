// Prices: text to nanos, exactly.
#include <fmt/format.h>

#include <array>

#include "fields.hpp"
#include "sluice/base/text_units.hpp"
#include "sluice/control/catalog.hpp"
#include "sluice/price/row.hpp"
#include "transaction.hpp"

namespace sluice::control {
namespace {

constexpr std::array<std::string_view, price::kFees> kFeeNames{
    "request", "web_search", "file_search", "code_execution", "image", "other"};
constexpr std::array<std::string_view, price::kTiers> kTierNames{"standard", "flex", "priority",
                                                                 "batch"};

template <std::size_t N>
std::size_t index_in(const std::array<std::string_view, N>& names, std::string_view name) {
  std::size_t at = 0;
  while (at < N && names[at] != name) ++at;
  return at;
}

Outcome<> read_rates(const RateSettings& settings, price::Rates& out) {
  const auto read = [](std::string_view field, std::string_view text, Nanos& rate) -> Outcome<> {
    auto value = parse_price(field, text);
    if (!value) return std::unexpected(value.error());
    rate = *value;
    return {};
  };
  CONTROL_TRY(read("input", settings.input, out.input));
  CONTROL_TRY(read("output", settings.output, out.output));
  CONTROL_TRY(read("cache-read", settings.cache_read.value_or(settings.input), out.cache_read));
  CONTROL_TRY(read("cache-write-short", settings.cache_write_short.value_or(settings.input),
                   out.cache_write_short));
  CONTROL_TRY(read("cache-write-long", settings.cache_write_long.value_or(settings.input),
                   out.cache_write_long));
  return {};
}

/// "16:30" → minutes of the day, 24:00 = 1440.
std::optional<std::uint16_t> parse_minute(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const std::size_t at : {0U, 1U, 3U, 4U}) {
    if (text[at] < '0' || text[at] > '9') return std::nullopt;
  }
  const int hour = (text[0] - '0') * 10 + (text[1] - '0');
  const int minute = (text[3] - '0') * 10 + (text[4] - '0');
  if (minute > 59 || hour * 60 + minute > 1440) return std::nullopt;
  return static_cast<std::uint16_t>(hour * 60 + minute);
}

/// "1-5", "1,3,7" → bits, Monday first.
std::optional<std::uint8_t> parse_weekdays(std::string_view text) {
  if (text.empty()) return 0x7f;
  unsigned bits = 0;
  for (const std::string& part : split_list(text)) {
    const bool range = part.size() == 3 && part[1] == '-';
    if (!range && part.size() != 1) return std::nullopt;
    const char first = part.front(), last = part.back();
    if (first < '1' || last > '7' || first > last) return std::nullopt;
    for (char day = first; day <= last; ++day) bits |= 1U << (day - '1');
  }
  return static_cast<std::uint8_t>(bits);
}

Outcome<> read_window(const WindowSettings& settings, price::Window& out) {
  auto multiplier =
      parse_thousandths("window multiplier", settings.multiplier, 1, price::kMaxMultiplier);
  if (!multiplier) return std::unexpected(multiplier.error());
  const auto start = parse_minute(settings.start), end = parse_minute(settings.end);
  if (!start || !end || *start >= *end) {
    return problem(Errc::bad_value,
                   "window: start and end must be times such as 16:30, end later (24:00 at most)");
  }
  const auto weekdays = parse_weekdays(settings.weekdays);
  if (!weekdays || *weekdays == 0)
    return problem(Errc::bad_value, "window: weekdays must be such as 1-5 or 6,7 (1 = Monday)");
  out.multiplier = static_cast<std::uint32_t>(*multiplier);
  out.start_minute = *start;
  out.end_minute = *end;
  out.weekdays = *weekdays;
  return {};
}

Outcome<> read_extras(const PriceSettings& settings, price::PriceRow& row) {
  if (settings.bands.size() > price::kBands)
    return problem(Errc::bad_value, fmt::format("bands: at most {}", price::kBands));
  for (std::size_t i = 0; i < settings.bands.size(); ++i) {
    row.bands[i].above_prompt_tokens = settings.bands[i].above_prompt_tokens;
    CONTROL_TRY(read_rates(settings.bands[i].rates, row.bands[i].rates));
  }
  if (settings.windows.size() > price::kWindows)
    return problem(Errc::bad_value, fmt::format("windows: at most {}", price::kWindows));
  for (std::size_t i = 0; i < settings.windows.size(); ++i)
    CONTROL_TRY(read_window(settings.windows[i], row.windows[i]));
  if (settings.holidays.size() > price::kHolidays)
    return problem(Errc::bad_value, fmt::format("holidays: at most {}", price::kHolidays));
  for (std::size_t i = 0; i < settings.holidays.size(); ++i) {
    const auto date = parse_utc(settings.holidays[i]);
    if (!date)
      return problem(Errc::bad_value, fmt::format("holidays: '{}' is no date such as 2027-01-01",
                                                  settings.holidays[i]));
    row.holidays[i] = static_cast<std::uint16_t>(*date / (86'400 * kSecond));
  }
  for (const auto& [name, text] : settings.tiers) {
    const std::size_t at = index_in(kTierNames, name);
    if (at == kTierNames.size() || at == 0)
      return problem(Errc::bad_value,
                     fmt::format("tiers: '{}' must be flex, priority or batch", name));
    auto multiplier = parse_thousandths("tiers." + name, text, 1, price::kMaxMultiplier);
    if (!multiplier) return std::unexpected(multiplier.error());
    row.tiers[at] = static_cast<std::uint32_t>(*multiplier);
  }
  for (const auto& [name, text] : settings.fees) {
    const std::size_t at = index_in(kFeeNames, name);
    if (at == kFeeNames.size())
      return problem(Errc::bad_value,
                     fmt::format("fees: '{}' must be one of {}", name, fmt::join(kFeeNames, ", ")));
    auto fee = parse_price("fees." + name, text);
    if (!fee) return std::unexpected(fee.error());
    row.fees[at] = *fee;
  }
  return {};
}

Outcome<price::PriceRow> to_row(Service& service, const PriceSettings& settings) {
  price::PriceRow row;
  row.version = 1;  // for validate(); the ledger numbers it
  row.effective_from_ns = service.clock.realtime_ns();
  if (settings.free) {
    if (!settings.rates.input.empty() || !settings.rates.output.empty()) {
      return problem(Errc::bad_value, "price: a free model has no input or output price");
    }
    row.flags = price::kRowFree;
    row.base = {0, 0, 0, 0, 0, {}};
  } else {
    CONTROL_TRY(read_rates(settings.rates, row.base));
  }
  CONTROL_TRY(read_extras(settings, row));
  if (settings.effective) {
    const auto date = parse_utc(*settings.effective);
    if (!date)
      return problem(Errc::bad_value,
                     "effective: must be a date such as 2027-01-01 or 2027-01-01T00:00:00Z");
    row.effective_from_ns = *date;
  }
  if (!price::validate(row)) {
    return problem(
        Errc::bad_value,
        "price: bands must ascend, and a price of 0 for everything must be said with free = true");
  }
  return row;
}

/// Everything but version and date.
bool same_amounts(const price::PriceRow& a, const price::PriceRow& b) {
  const auto same_rates = [](const price::Rates& x, const price::Rates& y) {
    return x.input == y.input && x.cache_read == y.cache_read &&
           x.cache_write_short == y.cache_write_short && x.cache_write_long == y.cache_write_long &&
           x.output == y.output;
  };
  bool same = same_rates(a.base, b.base) && a.fees == b.fees && a.tiers == b.tiers &&
              a.holidays == b.holidays && a.free() == b.free();
  for (std::size_t i = 0; i < price::kBands; ++i) {
    same = same && a.bands[i].above_prompt_tokens == b.bands[i].above_prompt_tokens &&
           (a.bands[i].above_prompt_tokens == 0 || same_rates(a.bands[i].rates, b.bands[i].rates));
  }
  for (std::size_t i = 0; i < price::kWindows; ++i) {
    const price::Window &x = a.windows[i], &y = b.windows[i];
    same = same && x.multiplier == y.multiplier && x.start_minute == y.start_minute &&
           x.end_minute == y.end_minute && x.weekdays == y.weekdays;
  }
  return same;
}

}  // namespace

Outcome<Nanos> parse_price(std::string_view field, std::string_view text) {
  const auto nanos = parse_usd(text);
  if (!nanos || *nanos > price::kMaxRate) {
    return problem(
        Errc::bad_value,
        fmt::format("{}: must be USD such as 2.50, not negative, at most nine decimals and 1000000",
                    field));
  }
  return *nanos;
}

Outcome<std::int64_t> parse_thousandths(std::string_view field, std::string_view text,
                                        std::int64_t min, std::int64_t max) {
  const auto billionths = parse_usd(text);
  if (!billionths || text.ends_with("USD") || *billionths % 1'000'000 != 0 ||
      *billionths / 1'000'000 < min || *billionths / 1'000'000 > max) {
    return problem(
        Errc::bad_value,
        fmt::format("{}: must be a number such as 1.25, at most three decimals, {:.3f} to {}",
                    field, static_cast<double>(min) / 1000, max / 1000));
  }
  return *billionths / 1'000'000;
}

Outcome<Change> put_price(Service& service, std::string_view model, const PriceSettings& settings) {
  auto row = to_row(service, settings);
  if (!row) return std::unexpected(row.error());
  Change change = Change::none;
  const std::string what = fmt::format("model '{}'", model);
  CONTROL_TRY(in_transaction(service, what, [&]() -> Outcome<> {
    auto& catalog = service.ledger.catalog();
    auto found = catalog.model(model);
    if (!found) return std::unexpected(from_ledger(service, found.error(), what));
    auto before = catalog.prices(found->id);
    if (!before) return std::unexpected(from_ledger(service, before.error(), what));
    const price::PriceRow* current = nullptr;
    bool taken = false;
    for (const ledger::Price& other : *before) {
      const bool same_date = other.row.effective_from_ns == row->effective_from_ns;
      // Without a date the question is what counts now; rows come in the order of their dates.
      const bool compared =
          settings.effective ? same_date : other.row.effective_from_ns <= row->effective_from_ns;
      if (compared) current = &other.row;
      if (same_date) taken = true;
    }
    if (current != nullptr && same_amounts(*current, *row)) return {};
    if (taken) {
      return problem(
          Errc::conflict,
          fmt::format("price: a row of {} exists, and rows are never changed: give a later date",
                      format_utc(row->effective_from_ns)));
    }
    ledger::Price price{found->id, *row};
    if (auto added = catalog.add(price); !added)
      return std::unexpected(from_ledger(service, added.error(), what));
    change = Change::created;
    return note(service, "price add", model, fmt::format("version {}", price.row.version));
  }));
  return change;
}

}  // namespace sluice::control
