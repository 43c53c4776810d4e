#include "zone_windows.hpp"

#include <algorithm>
#include <utility>

#include "sluice/base/log.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::int64_t kDay = 86'400;

std::int64_t floor_day(std::int64_t seconds) {
  return seconds >= 0 ? seconds / kDay : -((-seconds + kDay - 1) / kDay);
}

std::uint32_t month_window(std::int64_t day) {
  const CivilDate date = date_of(day);
  return static_cast<std::uint32_t>(12 * date.year + date.month - 1);
}

void add(std::vector<state::Boundary>& boundaries, std::int64_t start_s, std::uint32_t window) {
  if (!boundaries.empty() && boundaries.back().window >= window) return;
  boundaries.push_back({start_s, window, 0});
}

}  // namespace

state::ZoneSpec zone_windows(std::uint32_t id, const std::string& name, const Zone& zone,
                             std::int64_t from_s, std::int64_t days) {
  state::ZoneSpec out;
  out.id = id;
  out.name = name;
  const std::int64_t until_s = from_s + days * kDay;
  std::int64_t at_s = from_s;
  while (at_s < until_s) {
    // Within one span of constant offset days are 86,400 s apart.
    const std::int64_t offset_s = zone.offset_at(at_s);
    const std::int64_t span_end_s = zone.next_change(at_s, until_s).value_or(until_s);
    for (std::int64_t t = at_s; t < span_end_s;) {
      const std::int64_t day = floor_day(t + offset_s);
      if (day >= 0) {
        add(out.days, t, static_cast<std::uint32_t>(day));
        add(out.months, t, month_window(day));
      }
      t = (day + 1) * kDay - offset_s;
    }
    at_s = span_end_s;
  }
  return out;
}

const Zone& ZoneTable::zone(const std::string& name) {
  const auto known = zones_.find(name);
  if (known != zones_.end()) return known->second;
  if (name == "UTC") return zones_.emplace(name, Zone::utc()).first->second;
  auto read = Zone::read(directory_, name);
  if (!read && !std::exchange(complained_[name], true)) {
    log_line(LogLevel::error, "reconcile",
             "time zone " + name + " is not in " + directory_ + ": its windows are UTC's");
  }
  return zones_.emplace(name, read ? std::move(*read) : Zone::utc()).first->second;
}

state::WindowIds ZoneTable::windows_at(const std::string& name, std::int64_t realtime_ns) {
  const std::int64_t now_s = realtime_ns / kSecond;
  const std::int64_t day =
      std::max<std::int64_t>(0, floor_day(now_s + zone(name).offset_at(now_s)));
  return {static_cast<std::uint32_t>(day), month_window(day)};
}

}  // namespace sluice::reconcile
