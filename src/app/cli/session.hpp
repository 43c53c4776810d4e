// What the verbs share: the configuration, the ledger and the services, opened when first asked
// for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "output.hpp"
#include "parser.hpp"
#include "sluice/app/config.hpp"
#include "sluice/control/secrets.hpp"
#include "sluice/control/service.hpp"

namespace sluice::cli {

class Session {
 public:
  explicit Session(const Globals& globals) : globals_(globals) {}

  [[nodiscard]] bool json() const { return globals_.json; }
  [[nodiscard]] const std::string& config_file() const { return globals_.config_file; }
  [[nodiscard]] Outcome<const app::Config*> config();
  /// The services over the ledger; creates the ledger's directory and file when they are missing.
  [[nodiscard]] Outcome<control::Service*> service();
  /// As service(), with pepper and public key: for verbs that make or store keys.
  [[nodiscard]] Outcome<control::Service*> service_with_secrets();

  /// Returns when everything that was stored is visible to the edge (which also knows the pepper of
  /// keys that were made), or no reconciler runs, or --no-wait was given.
  [[nodiscard]] Outcome<> wait_visible();
  /// The same for one delta of a wallet.
  [[nodiscard]] Outcome<> wait_delta(ledger::Id wallet_id, std::int64_t wallet_no);

 private:
  [[nodiscard]] Outcome<> wait_until(const std::function<Result<bool>()>& visible);

  const Globals& globals_;
  std::unique_ptr<app::Config> config_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::vector<std::unique_ptr<control::SodiumKeyHasher>> hashers_;  ///< newest pepper first
  std::unique_ptr<control::Sealer> sealer_;
  std::unique_ptr<control::Service> service_;
};

}  // namespace sluice::cli
