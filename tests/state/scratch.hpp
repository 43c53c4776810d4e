// A state directory of one test, on tmpfs, removed afterwards; and an environment in it.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/random.hpp"
#include "sluice/state/build.hpp"

namespace sluice::state {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = "/dev/shm/sluice-test.XXXXXX";
    path_ = mkdtemp(name.data()) == nullptr ? std::string() : name;
  }
  ~ScratchDirectory() {
    if (!path_.empty()) std::filesystem::remove_all(path_);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Runs `work` in a forked process and returns its exit status; 128 + n when signal n ended it. The
/// child must not touch an environment that the parent has open.
template <class Work>
int in_child(Work work) {
  const pid_t pid = fork();
  if (pid == 0) _exit(work());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

inline Digest256 digest_of(std::uint64_t n) {
  Digest256 digest{};
  SeededRng rng(n);
  rng.fill(digest);
  return digest;
}

inline KeySnapshot key_snapshot(KeyId key, WalletId wallet) {
  KeySnapshot snapshot;
  snapshot.key.digest = digest_of(key);
  snapshot.key.record.key_id = key;
  snapshot.key.record.wallet_id = wallet;
  return snapshot;
}

inline WalletSnapshot wallet_snapshot(WalletId wallet, Nanos balance) {
  WalletSnapshot snapshot;
  snapshot.policy.wallet_id = wallet;
  snapshot.balance = balance;
  return snapshot;
}

inline BuildOptions build_options(const std::string& directory, std::uint64_t epoch = 1) {
  BuildOptions options;
  options.directory = directory;
  options.map_bytes = 32 * kMiB;
  options.epoch = epoch;
  options.slots = 4;
  options.meter_entries = 256;
  return options;
}

/// Builds an epoch with `wallets` wallets of `balance`, one key each (key id = wallet id), and
/// opens it.
inline std::unique_ptr<Environment> build_and_open(const BuildOptions& options,
                                                   std::uint64_t wallets, Nanos balance) {
  std::vector<WalletSnapshot> wallet_rows;
  std::vector<KeySnapshot> key_rows;
  for (std::uint64_t i = 1; i <= wallets; ++i) {
    wallet_rows.push_back(wallet_snapshot(i, balance));
    key_rows.push_back(key_snapshot(i, i));
  }
  std::string message;
  auto lock = EnvironmentLock::acquire(options.directory);
  if (!lock) {
    ADD_FAILURE() << "environment lock";
    return nullptr;
  }
  SeededRng rng(options.epoch);
  if (!build_epoch(options, *lock, wallet_rows, key_rows, rng, message)) {
    ADD_FAILURE() << message;
    return nullptr;
  }
  auto environment = open({options.directory}, message);
  if (!environment) {
    ADD_FAILURE() << message;
    return nullptr;
  }
  return std::move(*environment);
}

}  // namespace sluice::state
