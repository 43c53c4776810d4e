#include "key_check.hpp"

#include "scratch.hpp"

namespace sluice::relay {
namespace {

using dialect::ErrorKind;

Refusal too_many_unknown(TimeNs wait_ns) {
  return {.kind = ErrorKind::rate_limited,
          .message = "Too many requests with incorrect API keys came from this address.",
          .retry_after_s = (wait_ns + kSecond - 1) / kSecond};
}

}  // namespace

void hash_key(Services& services, std::string_view key) {
  KeyDigests& digests = services.scratch->key_digests;
  digests.count = 0;
  for (const auto& hasher : services.client_keys.hashers)
    digests.of[digests.count++] = hasher->hash(key);
}

std::optional<Refusal> look_up_key(Services& services,
                                   const std::array<std::uint8_t, 16>& address_v6,
                                   state::KeyRecord& out) {
  const KeyDigests& digests = services.scratch->key_digests;
  const Digest256& newest = digests.of.front();
  const TimeNs now_ns = services.reactor.now_ns();
  if (const TimeNs wait_ns = services.client_keys.unknown.wait_ns(address_v6, newest, now_ns)) {
    services.count(Counter::key_checks_refused);
    return too_many_unknown(wait_ns);
  }
  for (std::size_t i = 0; i < digests.count; ++i) {
    const auto found = services.environment.find_key(digests.of[i]);
    if (!found) {
      return Refusal{.kind = ErrorKind::unavailable,
                     .message = "The gateway is not ready; try again soon."};
    }
    if (!*found) continue;
    out = **found;
    services.client_keys.unknown.note_good(address_v6, newest);
    return std::nullopt;
  }
  services.count(Counter::unknown_keys);
  services.client_keys.unknown.note_unknown(address_v6, now_ns);
  return Refusal{.kind = ErrorKind::unauthenticated, .message = "Incorrect API key provided."};
}

}  // namespace sluice::relay
