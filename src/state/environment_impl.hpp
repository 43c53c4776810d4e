// Inside of Environment, for the files of src/state.
#pragma once

#include <memory>
#include <string>

#include "lmdb_env.hpp"
#include "lmdb_store.hpp"
#include "sluice/state/boards.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::state {

struct Environment::Impl {
  std::string directory;  ///< configuration's state directory
  std::string epoch_directory;
  LmdbEnv lmdb;
  std::unique_ptr<Boards> boards;
  MetaRecord meta;
  std::unique_ptr<LmdbStore> store;
};

struct EnvironmentAccess {
  static LmdbEnv& lmdb(Environment& environment) { return environment.impl_->lmdb; }
  static const std::string& directory(Environment& environment) {
    return environment.impl_->directory;
  }
  static std::unique_ptr<Environment> make(std::unique_ptr<Environment::Impl> impl) {
    return std::unique_ptr<Environment>(new Environment(std::move(impl)));
  }
};

/// Name of the directory that `<directory>/current` points at, joined; empty when there is none.
[[nodiscard]] std::string current_epoch_directory(const std::string& directory);
[[nodiscard]] std::string epoch_name(std::uint64_t epoch);

/// Opens LMDB and boards of one epoch directory and reads meta. No check that it is ready.
[[nodiscard]] Result<std::unique_ptr<Environment::Impl>> open_epoch(
    const std::string& directory, const std::string& epoch_directory, std::string& message);

}  // namespace sluice::state
