// Whose request it is: the client's key, as digests under each pepper, and the one look-up.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "refusal.hpp"
#include "sluice/base/key_ring.hpp"
#include "sluice/state/records.hpp"

namespace sluice::relay {

/// A key's digests, newest pepper first. In the shard's scratch from the head to the look-up, which
/// follow each other without a suspension.
struct KeyDigests {
  std::array<Digest256, KeyRing::kMost> of{};
  std::size_t count = 0;
};

/// Hashes the key into the scratch. One hash, and one more for each older pepper that is still in
/// force.
void hash_key(Services& services, std::string_view key);

/// The key's record into `out`, or why the request is refused: the address has asked with too many
/// unknown keys (429, nothing is looked up), the key is not there under any pepper (401; each
/// unknown key costs the same), or the shared state is away (503: never shown as a wrong key).
[[nodiscard]] std::optional<Refusal> look_up_key(Services& services,
                                                 const std::array<std::uint8_t, 16>& address_v6,
                                                 state::KeyRecord& out);

}  // namespace sluice::relay
