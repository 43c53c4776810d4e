#include "windows.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::int64_t kDaysBack = 2;
constexpr std::int64_t kDaysAhead = 60;
constexpr std::int64_t kMonthsBack = 2;
constexpr std::int64_t kMonthsAhead = 3;

std::int64_t month_of(std::int64_t day) {
  const CivilDate date = to_civil(day);
  return date.year * 12 + date.month - 1;
}

}  // namespace

state::WindowIds windows_at(const ZoneRules& rules, TimeNs realtime_ns) {
  const std::int64_t day = rules.day_at(realtime_ns / kSecond);
  return {static_cast<std::uint32_t>(day), static_cast<std::uint32_t>(month_of(day))};
}

state::ZoneSpec zone_spec(std::uint32_t id, const std::string& name, const ZoneRules& rules, TimeNs realtime_ns) {
  state::ZoneSpec out;
  out.id = id;
  out.name = name;
  const std::int64_t today = rules.day_at(realtime_ns / kSecond);
  for (std::int64_t day = today - kDaysBack; day <= today + kDaysAhead; ++day) {
    const std::int64_t start_s = rules.start_of_day(day);
    // A day that a zone skipped (Samoa in 2011) begins when the next one does: it has no window.
    if (!out.days.empty() && out.days.back().start_s == start_s) out.days.pop_back();
    out.days.push_back({start_s, static_cast<std::uint32_t>(day), 0});
  }
  const std::int64_t this_month = month_of(today);
  for (std::int64_t month = this_month - kMonthsBack; month <= this_month + kMonthsAhead; ++month) {
    const std::int64_t first_day = from_civil({month / 12, static_cast<int>(month % 12) + 1, 1});
    out.months.push_back({rules.start_of_day(first_day), static_cast<std::uint32_t>(month), 0});
  }
  return out;
}

}  // namespace sluice::reconcile
