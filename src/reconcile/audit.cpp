#include "audit.hpp"

#include <unordered_map>

#include "sluice/state/inspect.hpp"

namespace sluice::reconcile {

Result<> audit(state::Environment& environment, std::string& message) {
  state::StateCopy copy;
  constexpr std::uint32_t kWhat = state::kCopyWallets | state::kCopyHolds | state::kCopySlots;
  if (auto copied = state::copy_state(environment, kWhat, copy); !copied) {
    message = "the environment cannot be read";
    return copied;
  }
  if (!copy.corrupt.empty()) {
    message = std::to_string(copy.corrupt.size()) + " rows fail their check, the first in table " +
              state::table_name(copy.corrupt.front().table);
    return fail(Errc::corrupt);
  }
  std::unordered_map<state::WalletId, Nanos> held;
  for (const state::HoldRow& hold : copy.holds) {
    if (hold.record.state != state::HoldState::open) continue;
    Nanos& sum = held[hold.record.wallet_id];
    if (__builtin_add_overflow(sum, hold.record.amount, &sum)) {
      message = "the holds of wallet " + std::to_string(hold.record.wallet_id) + " overflow";
      return fail(Errc::corrupt);
    }
  }
  std::size_t found = 0;
  for (const state::WalletRecord& wallet : copy.wallets) {
    const auto sum = held.find(wallet.wallet_id);
    if (sum != held.end()) ++found;
    const Nanos open = sum == held.end() ? 0 : sum->second;
    if (!state::identity_holds(wallet) || wallet.held != open) {
      message = "wallet " + std::to_string(wallet.wallet_id) + ": available " +
                std::to_string(wallet.available) + " + held " + std::to_string(wallet.held) +
                " (open holds " + std::to_string(open) + ") + charged " +
                std::to_string(wallet.charged) + " + excess " + std::to_string(wallet.excess) +
                " is not credits " + std::to_string(wallet.credits());
      return fail(Errc::corrupt);
    }
  }
  if (found != held.size()) {
    message = "there are holds of wallets that do not exist";
    return fail(Errc::corrupt);
  }
  return {};
}

}  // namespace sluice::reconcile
