// Signatures of webhooks, as the Standard Webhooks specification has them, so that receivers can
// use its libraries.
#pragma once

#include <string>
#include <string_view>

#include "sluice/control/problem.hpp"

namespace sluice::control {

/// The key of a secret as text: "whsec_" and base64, or any text of 24 to 64 bytes as it is.
/// Errors: bad_value (too short: an empty secret signs for everybody).
[[nodiscard]] Outcome<std::string> webhook_key(std::string_view secret);

/// "v1," and the base64 of HMAC-SHA-256(key, "ID.TIMESTAMP.BODY"); the time in seconds since 1970.
[[nodiscard]] std::string webhook_signature(std::string_view key, std::string_view id,
                                            std::string_view timestamp, std::string_view body);

}  // namespace sluice::control
