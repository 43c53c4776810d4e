// Rows 14 to 18: which environment is served, and how it came to be.
#pragma once

#include <memory>
#include <string>

#include "sluice/base/clock.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/reconcile/reconciler.hpp"
#include "sluice/state/build.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/slots.hpp"

namespace sluice::reconcile {

struct Started {
  std::unique_ptr<state::Environment> environment;
  Origin origin = Origin::rebuilt;
};

class Drain;
class SlotKeeper;

class EpochStart {
 public:
  /// All outlive it. `lock` is held.
  EpochStart(const Options& options, const Clock& clock, ledger::Ledger& ledger,
             const state::EnvironmentLock& lock);

  /// Errors with a line in `message`, as Reconciler::start().
  [[nodiscard]] Result<Started> run(std::string& message);

 private:
  [[nodiscard]] Result<> look_at_present(bool attach, std::string& message);
  [[nodiscard]] Result<Started> check_and_serve(std::string& message);
  [[nodiscard]] Result<Started> attach(std::string& message);
  /// Row 15. Nothing when the environment must not go on; then `gaps_` and `origin_` say how to
  /// begin anew.
  [[nodiscard]] Result<std::unique_ptr<state::Environment>> try_warm(std::string& message);
  [[nodiscard]] Result<> close_old(state::Environment& old, std::string& why);
  [[nodiscard]] Result<bool> is_newest(const state::MetaRecord& meta);
  [[nodiscard]] Result<> name_epoch(const state::MetaRecord& meta, std::string& message);
  [[nodiscard]] Result<> drain_superseded(std::string& message);
  [[nodiscard]] Result<Started> rebuild(std::string& message);
  [[nodiscard]] Result<ledger::EpochSnapshot> next_epoch(std::string& message);
  [[nodiscard]] Result<> reap_and_drain(Drain& drain, SlotKeeper& slots, std::string& why);
  [[nodiscard]] Result<> note_loss();
  [[nodiscard]] Result<> add_lost_gaps(std::uint64_t epoch, const std::string& reason);

  const Options& options_;
  const Clock& clock_;
  ledger::Ledger& ledger_;
  const state::EnvironmentLock& lock_;
  std::string boot_id_file_;
  const state::AllSlots* slots_ = nullptr;  ///< held while this is set
  state::WarmCheck check_;
  bool damaged_ = false;           ///< what is there cannot be read at all
  std::vector<ledger::Gap> gaps_;  ///< of the epoch that ends
  Origin origin_ = Origin::rebuilt;
};

}  // namespace sluice::reconcile
