// A node in a directory of its own: ledger, shared state in /dev/shm, one customer with a key and a priced model.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "sluice/control/catalog.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/control/keys.hpp"
#include "sluice/control/secrets.hpp"
#include "sluice/reconcile/query.hpp"
#include "sluice/reconcile/reconciler.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::reconcile {

class ReconcileTest : public testing::Test {
 protected:
  ReconcileTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = std::filesystem::path("/dev/shm") / ("sluice-test-" + std::to_string(::getpid()) + "-" + info->name());
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    new_boot("0a1b2c3d-0000-4000-8000-000000000001");
    options_.state_directory = (root_ / "state").string();
    options_.database = (root_ / "ledger.db").string();
    options_.records_directory = (root_ / "records").string();
    options_.map_bytes = 16 * kMiB;
    options_.boot_id_file = (root_ / "boot_id").string();
    options_.allow_private = {"127.0.0.0/8"};
    std::string message;
    auto opened = ledger::Ledger::open(options_.database, ledger::Access::read_write, system_clock(), message);
    EXPECT_TRUE(opened) << message;
    ledger_ = std::move(*opened);
    service_ = std::make_unique<control::Service>(control::Service{
        *ledger_, system_clock(), system_rng(), &hasher_, &sealer_, options_.allow_private, "tester"});
    set_up_customer();
  }
  ~ReconcileTest() override {
    reconciler_.reset();
    ledger_.reset();
    std::filesystem::remove_all(root_);
  }

  void set_up_customer() {
    control::ProviderSettings provider;
    provider.dialect = "openai";
    provider.base_url = "http://127.0.0.1:9";
    EXPECT_TRUE(control::put_provider(*service_, "p", provider));
    control::ChannelSettings channel;
    channel.provider = "p";
    EXPECT_TRUE(control::put_channel(*service_, "c", channel));
    control::ModelSettings model;
    model.routes = {{"c", "", -1, -1, 0}};
    EXPECT_TRUE(control::put_model(*service_, "m", model));
    control::PriceSettings price;
    price.rates = {"1000000", "1000000", {}, {}, {}};  // a nano is a millionth of a token's price
    EXPECT_TRUE(control::put_price(*service_, "m", price));
    EXPECT_TRUE(control::add_customer(*service_, "acme", {}));
    EXPECT_TRUE(control::add_credit(*service_, "acme", "1", "start"));
    EXPECT_TRUE(control::add_key(*service_, "acme", "k", {}));
  }

  void new_boot(const std::string& id) { std::ofstream(root_ / "boot_id") << id << "\n"; }

  /// Starts a reconciler and takes turns until it publishes. Says how it started.
  std::string start() {
    reconciler_.reset();
    std::string message;
    auto started = Reconciler::start(options_, system_clock(), message);
    EXPECT_TRUE(started) << message;
    if (!started) return "failed: " + message;
    reconciler_ = std::move(*started);
    turns(3);
    return reconciler_->started();
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) {
      const auto done = reconciler_->turn();
      EXPECT_TRUE(done) << to_string(done.error().code);
      ::usleep(21'000);  // publishing has its own pace
    }
  }
  /// As after SIGTERM.
  void stop() {
    reconciler_->stop();
    reconciler_->run();
    reconciler_.reset();
  }

  static int run(const std::string& command) {
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int shard(const std::string& mode, int count, Nanos charge) {
    return run(std::string(SHARD_HELPER) + " " + mode + " " + options_.state_directory + " 1 1 1 " +
               std::to_string(count) + " " + std::to_string(charge));
  }

  Nanos ledger_balance() { return control::find_customer(*service_, "acme")->wallet.balance; }
  std::int64_t ledger_rows() {
    ledger::UsageFilter all;
    all.limit = 1'000'000;
    return static_cast<std::int64_t>(ledger_->usage().list(all)->size());
  }
  /// The wallet as shared state has it; the reconciler must not be running in this process.
  state::WalletRecord wallet() {
    std::string message;
    auto environment = state::open({options_.state_directory}, message);
    EXPECT_TRUE(environment) << message;
    const auto found = (*environment)->find_wallet(1);
    EXPECT_TRUE(found && *found);
    return found && *found ? **found : state::WalletRecord{};
  }
  std::size_t outbox_rows() {
    std::string message;
    auto environment = state::open({options_.state_directory}, message);
    state::StateCopy copy;
    EXPECT_TRUE(environment && state::copy_state(**environment, state::kCopyOutbox, copy)) << message;
    return copy.outbox.size();
  }
  std::size_t record_lines() {
    std::size_t lines = 0;
    for (const auto& entry : std::filesystem::directory_iterator(options_.records_directory)) {
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) ++lines;
    }
    return lines;
  }

  std::filesystem::path root_;
  Options options_;
  control::SodiumKeyHasher hasher_{control::Key256{1}};
  control::Sealer sealer_{control::Key256{9}};
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<control::Service> service_;
  std::unique_ptr<Reconciler> reconciler_;
};

}  // namespace sluice::reconcile
