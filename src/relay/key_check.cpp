#include "key_check.hpp"

namespace sluice::relay {
namespace {

using dialect::ErrorKind;

Refusal too_many_unknown(TimeNs wait_ns) {
  return {.kind = ErrorKind::rate_limited,
          .message = "Too many requests with incorrect API keys came from this address.",
          .retry_after_s = (wait_ns + kSecond - 1) / kSecond};
}

}  // namespace

KeyDigests hash_key(const Services& services, std::string_view key) {
  const auto& hashers = services.client_keys.hashers;
  KeyDigests digests{.newest = hashers.front()->hash(key), .older = {}};
  for (std::size_t i = 1; i < hashers.size(); ++i) digests.older.push_back(hashers[i]->hash(key));
  return digests;
}

std::optional<Refusal> look_up_key(Services& services, const KeyDigests& key,
                                   const std::array<std::uint8_t, 16>& address_v6,
                                   state::KeyRecord& out) {
  UnknownKeys& unknown = services.client_keys.unknown;
  const TimeNs now_ns = services.reactor.now_ns();
  if (const TimeNs wait_ns = unknown.wait_ns(address_v6, key.newest, now_ns)) {
    services.count(Counter::key_checks_refused);
    return too_many_unknown(wait_ns);
  }
  auto found = services.environment.find_key(key.newest);
  for (std::size_t i = 0; found && !*found && i < key.older.size(); ++i) {
    found = services.environment.find_key(key.older[i]);
  }
  if (!found) {
    return Refusal{.kind = ErrorKind::unavailable,
                   .message = "The gateway is not ready; try again soon."};
  }
  if (*found) {
    out = **found;
    unknown.note_good(address_v6, key.newest);
    return std::nullopt;
  }
  services.count(Counter::unknown_keys);
  unknown.note_unknown(address_v6, now_ns);
  return Refusal{.kind = ErrorKind::unauthenticated, .message = "Incorrect API key provided."};
}

}  // namespace sluice::relay
