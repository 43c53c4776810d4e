// Which model and which channels a request goes to: by name, alias, pattern or group, within the
// key's scope, to the channel that the client has chosen where it may.
#pragma once

#include "plan.hpp"

namespace sluice::relay {

/// Fills model, group and candidates of a plan whose body was scanned. `first_model`: of a group,
/// its models before this one were tried. False with a denial.
[[nodiscard]] bool choose_route(const Services& services, const Snapshot& snapshot,
                                const state::KeyRecord& key, const Request& request,
                                std::uint32_t first_model, Plan& plan, policy::Denial& denial);

}  // namespace sluice::relay
