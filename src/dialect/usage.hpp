// From the fields of a report to the normal form.
#pragma once

#include "sluice/dialect/format.hpp"
#include "sluice/dialect/meter_state.hpp"
#include "sluice/dialect/usage.hpp"

namespace sluice::dialect {

/// Usage in the normal form of facts/wire §5.1.
[[nodiscard]] Usage normalise_usage(Format format, const RawUsage& raw, const Quirks& quirks);

}  // namespace sluice::dialect
