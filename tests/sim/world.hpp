// Where one seed happens: directories on a tmpfs, the ledger's file, and what the simulator itself
// has open to look at them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shadow.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/state/environment.hpp"
#include "stage.hpp"

namespace sluice::sim {

inline constexpr std::uint64_t kWallets = 3;
inline constexpr std::uint64_t kKeysAWallet = 2;
inline constexpr Price kFirstPrice{3'000'000'000, 15'000'000'000};
inline constexpr Nanos kFirstCredit = 100'000'000;

/// A directory of this program's run; removed at its end, those of dead runs at the next start.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  /// A ledger with customers, keys, a model and its price, made once and copied for each seed.
  [[nodiscard]] std::string ledger_template();

 private:
  std::string path_;
  bool made_ = false;
};

class World {
 public:
  World(Stage& stage, Scratch& scratch, Fault fault, std::uint64_t map_bytes, const Clock& clock);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// Another boot of the machine. `wiped`: the tmpfs is empty, as it is after a power cut.
  void reboot(bool wiped);

  /// Attaches to the environment that is served now. False when there is none.
  bool attach();
  void detach() { environment_.reset(); }
  [[nodiscard]] state::Environment* environment() { return environment_.get(); }
  /// False when there is nothing to see (none built, or it was retired).
  bool copy(state::StateCopy& out);

  [[nodiscard]] ledger::Ledger& books() { return *books_; }
  /// Rows that the ledger has got since the last call, newest first.
  [[nodiscard]] std::vector<ledger::StoredUsage> new_rows();
  [[nodiscard]] std::string log() const;

 private:
  void write_boot_id();
  void plant(Fault fault);
  std::string directory_;
  Stage& stage_;
  std::unique_ptr<state::Environment> environment_;
  std::unique_ptr<ledger::Ledger> books_;
  std::uint64_t rows_ = 0;
  std::uint64_t boots_ = 0;
};

}  // namespace sluice::sim
