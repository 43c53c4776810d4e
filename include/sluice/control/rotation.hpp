// Secrets get new versions, and old versions go when nothing depends on them any more.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "sluice/base/key_ring.hpp"
#include "sluice/control/service.hpp"

namespace sluice::control {

/// Adds a random version to a ring's file; from then on it is the newest. Owner and mode of the
/// file stay. Returns the ring as it is now. Errors: conflict (the ring is full), those of the
/// file.
[[nodiscard]] Outcome<KeyRing> add_version(const std::string& ring_file, Rng& rng);
/// Removes a version. Errors: not_found, conflict (it is the newest), those of the file.
[[nodiscard]] Outcome<KeyRing> remove_version(const std::string& ring_file, std::uint32_t version);

/// An audit row of what was done to a version.
[[nodiscard]] Outcome<> note_secret(Service& service, std::string_view action,
                                    std::string_view kind, std::uint32_t version);

/// How many provider keys and credentials of proxies each version opens; under 0 those that none
/// does.
using SealedCounts = std::map<std::uint32_t, std::int64_t>;
[[nodiscard]] Outcome<SealedCounts> count_sealed(Service& service, const KeyRing& sealing_keys);

/// Seals every provider key and proxy's credentials that an older version opens to the newest, all
/// in one transaction. Returns how many there were. What no version opens stays as it is.
[[nodiscard]] Outcome<std::int64_t> seal_anew(Service& service, const KeyRing& sealing_keys);

}  // namespace sluice::control
