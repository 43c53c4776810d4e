#include "sluice/base/text_units.hpp"

#include <array>
#include <charconv>
#include <ctime>

namespace sluice {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::uint64_t kDay = 86'400ULL * 1'000'000'000ULL;
constexpr std::array kTimeUnits{Unit{"d", kDay},
                                Unit{"h", 3'600ULL * 1'000'000'000ULL},
                                Unit{"m", 60ULL * 1'000'000'000ULL},
                                Unit{"s", 1'000'000'000},
                                Unit{"ms", 1'000'000},
                                Unit{"us", 1'000},
                                Unit{"ns", 1}};
constexpr std::array kSizeUnits{Unit{"GiB", 1ULL << 30}, Unit{"MiB", 1ULL << 20},
                                Unit{"KiB", 1ULL << 10}, Unit{"B", 1}};
constexpr std::uint64_t kLongest = 100 * 366 * kDay;

/// Digits at the front of `text`, which loses them. Nothing when there is none or they overflow.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

template <std::size_t N>
std::optional<std::uint64_t> parse_with(const std::array<Unit, N>& units, std::string_view text,
                                        std::uint64_t bare_factor) {
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  std::uint64_t factor = 0;
  if (text.empty()) factor = *number == 0 ? 1 : bare_factor;
  for (const Unit& unit : units) {
    if (unit.name == text) factor = unit.factor;
  }
  std::uint64_t product = 0;
  if (factor == 0 || __builtin_mul_overflow(*number, factor, &product)) return std::nullopt;
  return product;
}

template <std::size_t N>
std::string format_with(const std::array<Unit, N>& units, std::uint64_t value,
                        std::string_view bare) {
  if (value == 0) return "0";
  for (const Unit& unit : units) {
    if (value % unit.factor == 0) {
      const std::string_view name = unit.factor == 1 ? bare : unit.name;
      return std::to_string(value / unit.factor).append(name);
    }
  }
  return std::to_string(value).append(bare);
}

}  // namespace

std::optional<TimeNs> parse_duration(std::string_view text) {
  const auto value = parse_with(kTimeUnits, text, 0);
  if (!value || *value > kLongest) return std::nullopt;
  return static_cast<TimeNs>(*value);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_with(kSizeUnits, text, 1);
}

std::string format_duration(TimeNs duration_ns) {
  return format_with(kTimeUnits, static_cast<std::uint64_t>(duration_ns), "ns");
}

std::string format_size(std::uint64_t bytes) { return format_with(kSizeUnits, bytes, ""); }

std::optional<Nanos> parse_usd(std::string_view text) {
  if (text.ends_with("USD")) {
    text.remove_suffix(3);
    if (text.ends_with(' ')) text.remove_suffix(1);
  }
  const auto whole = take_number(text);
  if (!whole) return std::nullopt;
  std::uint64_t fraction = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (text.empty() || text.size() > 9) return std::nullopt;
    const std::size_t digits = text.size();
    const auto parsed = take_number(text);
    if (!parsed) return std::nullopt;
    fraction = *parsed;
    for (std::size_t i = digits; i < 9; ++i) fraction *= 10;
  }
  if (!text.empty()) return std::nullopt;
  std::uint64_t nanos = 0;
  if (__builtin_mul_overflow(*whole, static_cast<std::uint64_t>(kNanosPerUsd), &nanos) ||
      __builtin_add_overflow(nanos, fraction, &nanos) ||
      nanos > static_cast<std::uint64_t>(INT64_MAX)) {
    return std::nullopt;
  }
  return static_cast<Nanos>(nanos);
}

std::string format_usd(Nanos amount) {
  const bool negative = amount < 0;
  // Negating as unsigned is right for the smallest value too.
  const std::uint64_t value =
      negative ? 0 - static_cast<std::uint64_t>(amount) : static_cast<std::uint64_t>(amount);
  const std::uint64_t unit = static_cast<std::uint64_t>(kNanosPerUsd);
  std::string decimals = std::to_string(unit + value % unit).substr(1);
  while (decimals.size() > 2 && decimals.back() == '0') decimals.pop_back();
  return (negative ? "-" : "") + std::to_string(value / unit) + "." + decimals;
}

std::string format_utc(TimeNs realtime_ns) {
  const std::time_t seconds = realtime_ns / kSecond;
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "?";
  std::array<char, 40> text{};
  const std::size_t bytes = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text.data(), bytes);
}

std::optional<TimeNs> parse_utc(std::string_view text) {
  const auto digits = [&](std::size_t at, std::size_t count, int& out) {
    if (at + count > text.size()) return false;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + count, out);
    return error == std::errc() && end == text.data() + at + count && out >= 0;
  };
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!digits(0, 4, year) || !digits(5, 2, month) || !digits(8, 2, day)) return std::nullopt;
  if (text[4] != '-' || text[7] != '-') return std::nullopt;
  if (text.size() != 10) {
    const bool whole = text.size() == 20 && (text[10] == 'T' || text[10] == ' ') &&
                       text[13] == ':' && text[16] == ':' && text[19] == 'Z' &&
                       digits(11, 2, hour) && digits(14, 2, minute) && digits(17, 2, second);
    if (!whole) return std::nullopt;
  }
  if (year < 1970 || year > 2200 || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  std::tm parts{};
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  parts.tm_mday = day;
  parts.tm_hour = hour;
  parts.tm_min = minute;
  parts.tm_sec = second;
  const std::tm asked = parts;
  const std::time_t seconds = timegm(&parts);
  // timegm carries 31 April over to 1 May: such a date was not meant.
  if (parts.tm_mday != asked.tm_mday || parts.tm_mon != asked.tm_mon) return std::nullopt;
  return static_cast<TimeNs>(seconds) * kSecond;
}

}  // namespace sluice
