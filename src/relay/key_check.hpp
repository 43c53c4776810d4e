// Whose request it is: the client's key, as digests under each pepper, and the one look-up.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "refusal.hpp"
#include "request.hpp"
#include "sluice/state/records.hpp"

namespace sluice::relay {

/// One hash, and one more for each older pepper that is still in force.
[[nodiscard]] KeyDigests hash_key(const Services& services, std::string_view key);

/// The key's record into `out`, or why the request is refused: the address has asked with too many
/// unknown keys (429, nothing is looked up), the key is not there under any pepper (401; each
/// unknown key costs the same), or the shared state is away (503: never shown as a wrong key).
[[nodiscard]] std::optional<Refusal> look_up_key(Services& services, const KeyDigests& key,
                                                 const std::array<std::uint8_t, 16>& address_v6,
                                                 state::KeyRecord& out);

}  // namespace sluice::relay
