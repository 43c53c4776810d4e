// What the class of a provider's error is to the counters and to the client.
#pragma once

#include "sluice/dialect/error_body.hpp"
#include "sluice/relay/settings.hpp"

namespace sluice::relay {

[[nodiscard]] Counter counter_of(dialect::ErrorClass error_class);
/// The refusal that an error becomes whose status did not say so.
[[nodiscard]] dialect::ErrorKind kind_of(dialect::ErrorClass error_class);

}  // namespace sluice::relay
