// From the ledger to the shared state: wallets and keys, numbered deltas, catalog files, addresses.
#pragma once

#include <set>
#include <string>

#include "convert.hpp"
#include "price_book.hpp"
#include "resolver.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {

class Publisher {
 public:
  Publisher(ledger::Ledger& ledger, state::Environment& environment, Resolver& resolver, const Clock& clock,
            std::uint32_t node);

  /// One pass: what changed in the ledger since the last one becomes visible. Cheap when nothing did. Every step
  /// may be repeated: records are whole, deltas numbered, files written under new names. Errors: of the ledger or
  /// of the writer; the next pass goes on from where this one stopped.
  [[nodiscard]] Result<> run();

  /// All price rows of the last catalog.
  [[nodiscard]] const PriceBook& prices() const { return prices_; }
  /// Whether catalog and addresses are there: shards may serve.
  [[nodiscard]] bool complete() const { return built_generation_ > 0 && addresses_version_ > 0; }

 private:
  [[nodiscard]] Result<> publish_catalog();
  [[nodiscard]] Result<> publish_wallets();
  [[nodiscard]] Result<> publish_keys();
  [[nodiscard]] Result<> publish_deltas();
  [[nodiscard]] Result<> publish_addresses();
  [[nodiscard]] Result<> announce();
  [[nodiscard]] bool shards_use(std::uint64_t catalog_generation);
  [[nodiscard]] std::set<std::uint64_t> versions_of_open_holds();
  void remove_old_files();

  ledger::Ledger& ledger_;
  state::Environment& environment_;
  state::Writer writer_;
  Resolver& resolver_;
  const Clock& clock_;
  const std::uint32_t node_;
  TextNumbers numbers_;
  PriceBook prices_;
  std::int64_t built_generation_ = 0;      ///< of the catalog file in force
  std::int64_t published_generation_ = 0;  ///< everything up to it is in shared state
  std::int64_t announced_generation_ = -1; ///< … and the ledger says so
  TimeNs announce_deadline_ns_ = 0;
  TimeNs rebuild_at_ns_ = 0;
  std::uint64_t addresses_generation_ = 0;
  std::uint64_t addresses_version_ = 0;    ///< of the resolver, as last written
};

}  // namespace sluice::reconcile
