// Where days and months begin in each time zone: what shards compare the clock with.
#pragma once

#include <map>
#include <string>

#include "sluice/state/catalog_builder.hpp"
#include "sluice/state/ids.hpp"
#include "zone_file.hpp"

namespace sluice::reconcile {

/// Boundaries from `from_s` (realtime seconds) on for `days` days. Window ids: local days since
/// 1970-01-01, and 12 × year + month - 1. A day begins at the first moment that has its date, so
/// that a clock that is set back over midnight does not begin it twice, and a date that a zone
/// skipped has no boundary.
[[nodiscard]] state::ZoneSpec zone_windows(std::uint32_t id, const std::string& name,
                                           const Zone& zone, std::int64_t from_s,
                                           std::int64_t days);

/// Zones of the system by name, read once a day. A zone that cannot be read is UTC, and is logged
/// once.
class ZoneTable {
 public:
  explicit ZoneTable(std::string directory) : directory_(std::move(directory)) {}
  [[nodiscard]] const Zone& zone(const std::string& name);
  [[nodiscard]] state::WindowIds windows_at(const std::string& name, std::int64_t realtime_ns);
  /// Reads the files again at the next use (the system's database may have been updated).
  void forget() { zones_.clear(); }

 private:
  std::string directory_;
  std::map<std::string, Zone> zones_;
  std::map<std::string, bool> complained_;
};

}  // namespace sluice::reconcile
