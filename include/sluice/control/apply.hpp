// `sluice apply FILE.toml`: brings the ledger to what a file says, and says what changed.
// Idempotent: the second run changes nothing. What the file does not name is left alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/control/service.hpp"

namespace sluice::control {

struct AppliedChange {
  std::string noun;  ///< provider, key …
  std::string name;
  std::string action;  ///< created, updated or credited
  std::string secret;  ///< of a key that was made just now; shown once
};

struct ApplyReport {
  std::vector<AppliedChange> changes;
  std::int64_t unchanged = 0;
};

/// Applies TOML text in one transaction: all of it or nothing. Problems name file and line.
[[nodiscard]] Outcome<ApplyReport> apply_toml(Service& service, std::string_view toml,
                                              std::string_view file_name);

}  // namespace sluice::control
