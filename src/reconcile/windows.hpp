// Windows of a zone: numbers of days and months, and when each begins.
#pragma once

#include <string>

#include "sluice/base/units.hpp"
#include "sluice/state/catalog_builder.hpp"
#include "zone_rules.hpp"

namespace sluice::reconcile {

/// Days since 1970 and 12 × year + month − 1 of the zone's calendar.
[[nodiscard]] state::WindowIds windows_at(const ZoneRules& rules, TimeNs realtime_ns);

/// Boundaries from two days (months: two months) before now to 60 days (three months) after it. A catalog is
/// built at least once a day, so a shard never gets near the end.
[[nodiscard]] state::ZoneSpec zone_spec(std::uint32_t id, const std::string& name, const ZoneRules& rules,
                                        TimeNs realtime_ns);

}  // namespace sluice::reconcile
