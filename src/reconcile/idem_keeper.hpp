// Forgets used Idempotency-Keys: after a day, or sooner when there are too many.
#pragma once

#include <optional>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::reconcile {

class IdemKeeper {
 public:
  IdemKeeper(state::Environment& environment, const Clock& clock)
      : environment_(environment), clock_(clock) {}
  /// Looks at a part of the table, from where it stopped, and removes at most a transaction's worth
  /// of rows. True when there is more to remove. Errors: io, those of Writer.
  [[nodiscard]] Result<bool> step();

 private:
  state::Environment& environment_;
  const Clock& clock_;
  std::optional<state::IdemKey> from_;
  std::size_t rows_ = 0;  ///< of the table, as the last step saw it
  std::size_t rows_most_ = 0;
};

}  // namespace sluice::reconcile
