#include "fields.hpp"

#include <fmt/format.h>

#include <charconv>

#include "sluice/base/ip_address.hpp"
#include "sluice/base/text_units.hpp"
#include "sluice/control/keys.hpp"
#include "sluice/ledger/records.hpp"

namespace sluice::control {

Outcome<> read_budget(std::string_view field, const std::optional<std::string>& text, Nanos& out) {
  if (!text) return {};
  if (*text == "none") {
    out = ledger::kUnlimited;
    return {};
  }
  const auto amount = parse_usd(*text);
  if (!amount || *amount == 0) {
    return problem(Errc::bad_value,
                   fmt::format("{}: must be USD above 0 such as 25.50, or none", field));
  }
  out = *amount;
  return {};
}

Outcome<> read_usd(std::string_view field, const std::optional<std::string>& text, Nanos& out) {
  if (!text) return {};
  const auto amount = parse_usd(*text);
  if (!amount)
    return problem(Errc::bad_value,
                   fmt::format("{}: must be USD such as 25.50, not negative", field));
  out = *amount;
  return {};
}

Outcome<> read_count(std::string_view field, const std::optional<std::string>& text,
                     std::int64_t max, std::int64_t& out) {
  if (!text) return {};
  if (*text == "none") {
    out = ledger::kUnlimited;
    return {};
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < 1 || value > max) {
    return problem(Errc::bad_value,
                   fmt::format("{}: must be a whole number, 1 to {}, or none", field, max));
  }
  out = value;
  return {};
}

Outcome<> read_zone(std::string_view field, const std::optional<std::string>& text,
                    std::string& out) {
  if (!text) return {};
  if (!zone_exists(*text)) {
    return problem(
        Errc::bad_value,
        fmt::format("{}: no such time zone; names are like Europe/Berlin or UTC", field));
  }
  out = *text;
  return {};
}

Outcome<> read_timeout_ms(std::string_view field, const std::optional<std::string>& text,
                          std::int64_t& out) {
  if (!text) return {};
  if (*text == "none") {
    out = 0;
    return {};
  }
  const auto duration = parse_duration(*text);
  if (!duration || *duration < kMillisecond || *duration > 86'400 * kSecond) {
    return problem(Errc::bad_value,
                   fmt::format("{}: must be a duration of 1ms to 24h such as 5s, or none", field));
  }
  out = *duration / kMillisecond;
  return {};
}

Outcome<> read_integer(std::string_view field, const std::optional<std::int64_t>& value,
                       std::int64_t min, std::int64_t max, std::int64_t& out) {
  if (!value) return {};
  if (*value < min || *value > max) {
    return problem(Errc::bad_value, fmt::format("{}: must be {} to {}", field, min, max));
  }
  out = *value;
  return {};
}

Outcome<> read_cidrs(std::string_view field, const std::optional<std::string>& text,
                     std::string& out) {
  if (!text) return {};
  std::vector<std::string> parts = split_list(*text);
  for (const std::string& part : parts) {
    if (!parse_cidr(part)) {
      return problem(
          Errc::bad_value,
          fmt::format("{}: '{}' is no network such as 10.0.0.0/8 or 2001:db8::/32", field, part));
    }
  }
  if (parts.size() > 64)
    return problem(Errc::bad_value, fmt::format("{}: more than 64 networks", field));
  out = join_list(parts);
  return {};
}

void read_flag(const std::optional<bool>& value, bool& out) {
  if (value) out = *value;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

std::string join_list(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace sluice::control
