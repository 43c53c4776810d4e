// Providers' lists of models, from the files that shards leave to the ledger; and what of the
// catalog is not in them.
#pragma once

#include <set>
#include <string>

#include "sluice/ledger/ledger.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::reconcile {

class OfferKeeper {
 public:
  /// Both outlive it.
  OfferKeeper(state::Environment& environment, ledger::Ledger& ledger)
      : environment_(environment), ledger_(ledger) {}

  /// Takes lists that wait, some at a time, once a second. What is not listed is compared anew when
  /// one came or the catalog is of another generation, and each such route is logged once. Errors
  /// of the ledger: the list stays where it is for the next call.
  [[nodiscard]] Result<> step(std::uint64_t catalog_generation);

  /// Routes that lead to what their provider does not list.
  [[nodiscard]] std::size_t unlisted() const { return unlisted_.size(); }

 private:
  [[nodiscard]] Result<> take(std::uint32_t channel_id);
  [[nodiscard]] Result<> compare();

  state::Environment& environment_;
  ledger::Ledger& ledger_;
  std::set<std::string> unlisted_;  ///< as they were logged
  std::uint64_t compared_generation_ = 0;
};

}  // namespace sluice::reconcile
