// Which channels may serve a request, in the order in which they are tried.
#pragma once

#include <array>
#include <cstdint>

#include "sluice/dialect/format.hpp"
#include "sluice/state/catalog.hpp"

namespace sluice::policy {

inline constexpr std::size_t kMaxCandidates = 8;

struct CandidateList {
  std::array<const state::CandidateEntry*, kMaxCandidates> entries{};
  std::size_t count = 0;
};

/// Enabled channels of the model that speak `format` and have a usable key (or need none), in the
/// catalog's order. Views into the catalog.
[[nodiscard]] CandidateList choose_candidates(const state::Catalog& catalog,
                                              const state::ModelEntry& model,
                                              dialect::Format format);

}  // namespace sluice::policy
