// What the ledger decides, into the shared state: wallets, keys, credits (row 10), the catalog,
// addresses.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "address_publisher.hpp"
#include "catalog_publisher.hpp"
#include "policies.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/reconcile/reconciler.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {

/// Works in small steps, so that draining goes on while 100,000 keys are published: one step writes
/// at most one transaction of keys or wallets. Order: catalog, wallets, credits, keys; then, once
/// every shard can see it, the published generation.
class Publisher {
 public:
  Publisher(state::Environment& environment, ledger::Ledger& ledger, const Clock& clock,
            const Options& options);

  /// Looks what changed in the ledger, or goes on with what was found before. True when there is
  /// more to do now. Errors of the ledger and of state::Writer; the work is taken up again at the
  /// next call.
  [[nodiscard]] Result<bool> step();

  /// Publishes the catalog and addresses whatever the ledger's generation is (at start).
  [[nodiscard]] Result<> publish_catalog();
  /// Takes secrets away whose overlap is over, a transaction's worth; true when there are more.
  /// They were refused since, by their expiry.
  [[nodiscard]] Result<bool> forget_former_secrets();
  [[nodiscard]] CatalogPublisher& catalog() { return catalog_; }
  [[nodiscard]] AddressPublisher& addresses() { return addresses_; }
  /// Ledger generation up to which everything is visible.
  [[nodiscard]] std::int64_t published() const { return published_; }
  /// Names of the catalog's models and channels by id, for access records.
  [[nodiscard]] const std::map<ledger::Id, std::string>& model_names() const {
    return model_names_;
  }
  [[nodiscard]] const std::map<ledger::Id, std::string>& channel_names() const {
    return channel_names_;
  }
  /// Names of the channels' providers, by channel.
  [[nodiscard]] const std::map<ledger::Id, std::string>& channel_providers() const {
    return channel_providers_;
  }

 private:
  /// One round: everything of the ledger up to `generation`, read at one moment.
  struct Work {
    std::int64_t generation = 0;
    bool catalog = false;
    std::vector<state::WalletPublish> wallets;
    std::vector<state::KeyPublish> keys;
    std::size_t wallets_done = 0;
    std::size_t keys_done = 0;
    bool confirmed = false;  ///< written; waits for the shards to take the new files
    TimeNs written_at_ns = 0;
  };

  [[nodiscard]] Result<bool> find_work();
  [[nodiscard]] Result<> read_changes(Work& work);
  [[nodiscard]] Result<bool> advance();
  [[nodiscard]] Result<bool> write_wallets();
  [[nodiscard]] Result<bool> write_keys();
  [[nodiscard]] Result<bool> confirm();
  [[nodiscard]] Result<bool> publish_credits();
  [[nodiscard]] Result<bool> catch_up(const ledger::Delta& ahead);
  [[nodiscard]] Result<> remember(const std::vector<ledger::Delta>& deltas, std::size_t count);
  [[nodiscard]] bool shards_are_current() const;
  void keep_names(const ledger::CatalogSnapshot& snapshot);

  state::Environment& environment_;
  ledger::Ledger& ledger_;
  const Clock& clock_;
  std::uint32_t node_;
  state::Writer writer_;
  CatalogPublisher catalog_;
  AddressPublisher addresses_;
  std::int64_t published_ = 0;
  bool told_ = false;  ///< the ledger knows `published_`
  bool working_ = false;
  Work work_;
  std::map<ledger::Id, std::string> model_names_;
  std::map<ledger::Id, std::string> channel_names_;
  std::map<ledger::Id, std::string> channel_providers_;
  std::set<ledger::Id> stuck_wallets_;  ///< a delta is missing and nobody has it: their credits
                                        ///< wait for the operator
};

}  // namespace sluice::reconcile
