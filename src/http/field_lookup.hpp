// Lookup of well-known names that also finds their underscore twins.
#pragma once

#include <string_view>

#include "sluice/http/fields.hpp"

namespace sluice::http {

struct FoldedField {
  Field field = Field::none;
  bool underscore = false;  ///< the name has "_" where the well-known one has "-"
};

/// As find_field, but "_" counts as "-".
[[nodiscard]] FoldedField find_folded(std::string_view name);

}  // namespace sluice::http
