// Client keys: only their HMAC is stored.
#pragma once

#include <string_view>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/error.hpp"
#include "sluice/ledger/records.hpp"

namespace sluice::ledger {

class Db;

class KeyBook {
 public:
  KeyBook(Db& db, const Clock& clock) : db_(db), clock_(clock) {}

  /// Fills id and generation. Errc::conflict when the wallet has the name or any key has the
  /// digest.
  [[nodiscard]] Result<> add(ApiKey& key);
  /// Stores state and policy; fills the new generation.
  [[nodiscard]] Result<> update(ApiKey& key);
  /// Stores a new digest and last_chars of `key`; the ones it had, and those from before, are good
  /// until `former_until_ns` (real time) at most. Errc::conflict when any key has or had the
  /// digest.
  [[nodiscard]] Result<> rotate(ApiKey& key, TimeNs former_until_ns);
  /// Former secrets of a key (0 = of all), expired ones included until they are forgotten.
  [[nodiscard]] Result<std::vector<FormerSecret>> former_of(Id key_id);
  [[nodiscard]] Result<std::vector<FormerSecret>> former_expired(TimeNs now_ns, std::int64_t limit);
  [[nodiscard]] Result<> forget_former(const std::vector<FormerSecret>& secrets);
  [[nodiscard]] Result<ApiKey> by_name(Id wallet_id, std::string_view name);
  [[nodiscard]] Result<ApiKey> by_id(Id id);
  [[nodiscard]] Result<ApiKey> by_digest(std::string_view digest);
  /// Keys of a wallet (0 = all), by name.
  [[nodiscard]] Result<std::vector<ApiKey>> list(Id wallet_id);
  /// Keys changed after `generation`.
  [[nodiscard]] Result<std::vector<ApiKey>> changed_after(std::int64_t generation);
  [[nodiscard]] Result<std::int64_t> count();
  /// Keys that are enabled and have not expired, and whose digest was made with this pepper.
  [[nodiscard]] Result<std::int64_t> live_with_pepper(std::int64_t version);

 private:
  Db& db_;
  const Clock& clock_;
};

}  // namespace sluice::ledger
