// What a person did wrong, in one line that says how to do it right.
#pragma once

#include <expected>
#include <string>

#include "sluice/base/error.hpp"

namespace sluice::control {

struct Problem {
  Errc code = Errc::internal;
  std::string text;  ///< one line without a full stop: "budget-day: must be above 0"
};

template <class T = void>
using Outcome = std::expected<T, Problem>;

[[nodiscard]] inline std::unexpected<Problem> problem(Errc code, std::string text) {
  return std::unexpected<Problem>(Problem{code, std::move(text)});
}

}  // namespace sluice::control
