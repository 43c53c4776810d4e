// I1 over the whole environment: what a warm start rests on.
#pragma once

#include <string>

#include "sluice/state/environment.hpp"

namespace sluice::reconcile {

/// Every row passes its check, and for each wallet the identity holds and `held` is the sum of its
/// open holds. Errc::corrupt with a line in `message` when not; errors of state::copy_state.
[[nodiscard]] Result<> audit(state::Environment& environment, std::string& message);

}  // namespace sluice::reconcile
