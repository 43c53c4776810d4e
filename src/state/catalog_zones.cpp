#include "sluice/state/catalog_builder.hpp"

namespace sluice::state {

std::string catalog_file_name(std::uint64_t generation) {
  return "catalog." + std::to_string(generation);
}
std::string addresses_file_name(std::uint64_t generation) {
  return "addresses." + std::to_string(generation);
}

ZoneSpec utc_zone(std::int64_t from_s, std::uint32_t days) {
  constexpr std::int64_t kDay = 86'400;
  ZoneSpec zone;
  zone.name = "UTC";
  const std::int64_t first = from_s / kDay;
  for (std::int64_t day = first; day < first + days; ++day) {
    zone.days.push_back({day * kDay, static_cast<std::uint32_t>(day), 0});
    // Month by the civil calendar (Hinnant, "chrono-compatible low-level date algorithms", days 0 =
    // 1970-01-01).
    const std::int64_t shifted = day + 719'468;
    const std::int64_t era = shifted / 146'097;
    const std::int64_t of_era = shifted % 146'097;
    const std::int64_t year_of_era =
        (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
    const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t from_march = (5 * of_year + 2) / 153;
    const std::int64_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    const auto window = static_cast<std::uint32_t>(12 * year + month - 1);
    if (zone.months.empty() || zone.months.back().window != window) {
      zone.months.push_back({day * kDay, window, 0});
    }
  }
  return zone;
}

}  // namespace sluice::state
