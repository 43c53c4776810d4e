// What providers say that they offer: the names of their lists of models.
#pragma once

#include <string>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/records.hpp"

namespace sluice::ledger {

class Db;

struct OfferedModel {
  std::string name;
  TimeNs since_ns = 0;  ///< realtime from which on every list had it
};

struct ProviderOffer {
  Id provider_id = 0;
  TimeNs at_ns = 0;                  ///< realtime of the last list, 0 = there was none yet
  bool complete = false;             ///< all of it is in `models`: what is not there is not offered
  std::vector<OfferedModel> models;  ///< by name
};

class OfferBook {
 public:
  OfferBook(Db& db, const Clock& clock) : db_(db), clock_(clock) {}

  /// Replaces what a provider offers by a list of now, in one transaction. A name may be in it more
  /// than once. Errors: conflict (no such provider).
  [[nodiscard]] Result<> put(Id provider_id, bool complete, const std::vector<std::string>& names);

  /// Of a provider whose list nobody has got yet: at_ns is 0.
  [[nodiscard]] Result<ProviderOffer> of(Id provider_id);
  /// Of each provider that has one, by its id.
  [[nodiscard]] Result<std::vector<ProviderOffer>> all();

 private:
  Db& db_;
  const Clock& clock_;
};

}  // namespace sluice::ledger
