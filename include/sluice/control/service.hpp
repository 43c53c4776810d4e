// What every domain service works with. One object a process and thread; it owns nothing.
#pragma once

#include <string>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/crypto.hpp"
#include "sluice/base/random.hpp"
#include "sluice/control/problem.hpp"
#include "sluice/ledger/ledger.hpp"

namespace sluice::control {

class Sealer;

struct Service {
  ledger::Ledger& ledger;
  const Clock& clock;
  Rng& rng;
  const KeyHasher* hasher = nullptr;            ///< under the newest pepper; needed to make keys
  const Sealer* sealer = nullptr;               ///< needed to store provider keys
  std::vector<std::string> allow_private;       ///< CIDRs that a provider may have although private
  std::string actor = "unknown";                ///< for the audit log
  std::uint32_t pepper_version = 1;             ///< of `hasher`
  std::vector<const KeyHasher*> older_hashers;  ///< under peppers that are still in force
};

/// The ledger's failure as a Problem; its own words when it has some.
[[nodiscard]] Problem from_ledger(Service& service, const Error& error, std::string_view what);

}  // namespace sluice::control
