// One node in temporary directories: a ledger, a reconciler, and a shard that is played by the
// test.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "sluice/ledger/ledger.hpp"
#include "sluice/reconcile/reconciler.hpp"
#include "sluice/state/environment.hpp"
#include "sluice/state/slots.hpp"
#include "sluice/state/verb_queue.hpp"

namespace sluice::reconcile {

class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::string& under) {
    std::string name = under + "/sluice-reconcile.XXXXXX";
    path_ = mkdtemp(name.data()) == nullptr ? std::string() : name;
  }
  ~TemporaryDirectory() {
    if (!path_.empty()) std::filesystem::remove_all(path_);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// What a shard does with one request: reserve, settle. Uses the environment of the process's
/// reconciler.
class PlayedShard {
 public:
  static constexpr TimeNs kOpenedAtNs = 1'800'000'000 * kSecond;
  PlayedShard(state::Environment& environment, const std::string& state_directory,
              state::SlotId slot)
      : lock_(*state::SlotLock::acquire(state_directory, slot)), queue_(environment, lock_) {}

  state::Outcome reserve(ledger::Id wallet, ledger::Id key, Nanos amount,
                         std::uint64_t price_version = 0, state::IdemHash idem = {}) {
    state::ReserveVerb verb;
    verb.wallet_id = static_cast<std::uint64_t>(wallet);
    verb.key_id = static_cast<std::uint64_t>(key);
    verb.amount = amount;
    verb.price_version = price_version;
    verb.key_windows = verb.wallet_windows = {20'833, 24'324};
    verb.opened_at_ns = kOpenedAtNs;
    verb.request_id = {idem[0]};
    verb.idem = idem;
    verb.deadline_ns = deadline_ns_;
    verb.now_ns = kSecond;
    verb.model_id = 1;
    return run(verb);
  }
  state::Outcome settle(const state::HoldId& hold, Nanos cost, ledger::Id wallet, ledger::Id key) {
    return settle(hold, price::split(cost, cost, 0), wallet, key);
  }
  state::Outcome settle(const state::HoldId& hold, const price::Charge& charge, ledger::Id wallet,
                        ledger::Id key) {
    state::OutboxRecord record;
    record.end = price::End::finished;
    record.phase = price::Phase::final;
    record.http_status = 200;
    record.stream = 1;
    record.key_id = static_cast<std::uint64_t>(key);
    record.wallet_id = static_cast<std::uint64_t>(wallet);
    record.model_id = 1;
    record.channel_id = 1;
    record.attempts = 1;
    record.counts.input = 30;
    record.counts.output = 40;
    record.started_at_ns = 1'800'000'000 * kSecond;
    record.total_ns = 5 * kMillisecond;
    state::SettleVerb verb;
    verb.hold = hold;
    verb.charge = charge;
    verb.record = &record;
    return run(verb);
  }
  /// One whole request.
  void request(ledger::Id wallet, ledger::Id key, Nanos hold, Nanos cost) {
    const state::Outcome reserved = reserve(wallet, key, hold);
    ASSERT_EQ(reserved.verdict, state::Verdict::done) << state::to_string(reserved.limit);
    ASSERT_EQ(settle(reserved.hold, cost, wallet, key).verdict, state::Verdict::done);
  }

  void set_deadline(TimeNs monotonic_ns) { deadline_ns_ = monotonic_ns; }

 private:
  template <class Verb>
  state::Outcome run(const Verb& verb) {
    state::PendingVerb pending;
    pending.verb = verb;
    pending.done = [](state::PendingVerb&) noexcept {};
    queue_.submit(pending, kSecond);
    // At the time of the test's clock, which the reconciler's heartbeat is of.
    for (int i = 0; i < 1000 && !queue_.empty(); ++i) queue_.commit_turn(kSecond);
    EXPECT_TRUE(queue_.empty());
    EXPECT_EQ(pending.error.code, Errc::none);
    return pending.outcome;
  }
  TimeNs deadline_ns_ = 1000 * kSecond;
  state::SlotLock lock_;
  state::VerbQueue queue_;
};

struct Account {
  ledger::Wallet wallet;
  ledger::ApiKey key;
};

class Node : public testing::Test {
 protected:
  Node() : state_("/dev/shm"), disk_(std::filesystem::temp_directory_path().string()) {
    options_.state_directory = state_.path();
    options_.map_bytes = 32 * kMiB;
    options_.meter_entries = 64;
    options_.slots = 3;
    options_.database = disk_.path() + "/ledger.db";
    options_.records_directory = disk_.path() + "/records";
    options_.lookup = [](const std::string&) -> Result<std::vector<IpAddress>> {
      return fail(Errc::not_found);
    };
    std::string message;
    auto opened =
        ledger::Ledger::open(options_.database, ledger::Access::read_write, clock_, message);
    EXPECT_TRUE(opened) << message;
    books_ = std::move(*opened);
  }

  void start() {
    reconciler_.reset();
    std::string message;
    auto started = Reconciler::start(options_, clock_, message);
    ASSERT_TRUE(started) << message;
    reconciler_ = std::move(*started);
  }
  state::Environment& environment() { return reconciler_->environment(); }
  PlayedShard shard(state::SlotId slot = 0) {
    return PlayedShard(environment(), state_.path(), slot);
  }

  /// Steps until what the ledger has now is published.
  void settle_down() {
    for (int i = 0; i < 2000; ++i) {
      clock_.advance(60 * kMillisecond);
      ASSERT_TRUE(reconciler_->step());
      const auto queued = books_->money().queued(1);
      if (books_->catalog().published(options_.node) == books_->catalog().newest() && queued &&
          queued->empty())
        return;
    }
    FAIL() << "never published";
  }

  Account add_account(const std::string& name, Nanos credit) {
    Account account;
    ledger::Customer customer;
    customer.name = name;
    EXPECT_TRUE(books_->customers().add(customer, account.wallet)) << books_->last_error();
    account.key.wallet_id = account.wallet.id;
    account.key.name = "main";
    account.key.digest = digest_text(static_cast<unsigned>(account.wallet.id));
    EXPECT_TRUE(books_->keys().add(account.key)) << books_->last_error();
    if (credit > 0) {
      EXPECT_TRUE(
          books_->money().credit(account.wallet.id, credit, ledger::House::funding_credit, "test"));
    }
    return account;
  }
  static std::string digest_text(unsigned n) {
    std::string text(64, '0');
    for (std::size_t i = 0; i < 8; ++i) text[i] = "0123456789abcdef"[n >> (4 * i) & 15];
    return text;
  }
  Nanos balance(const Account& account) {
    return books_->customers().wallet(account.wallet.id)->balance;
  }
  state::WalletRecord live(const Account& account) {
    const auto wallet = environment().find_wallet(static_cast<std::uint64_t>(account.wallet.id));
    EXPECT_TRUE(wallet && *wallet);
    return wallet && *wallet ? **wallet : state::WalletRecord{};
  }
  std::vector<ledger::StoredUsage> usage() {
    ledger::UsageFilter filter;
    filter.limit = 100'000;
    return *books_->usage().list(filter);
  }

  ManualClock clock_;
  TemporaryDirectory state_;
  TemporaryDirectory disk_;
  Options options_;
  std::unique_ptr<ledger::Ledger> books_;  ///< the command line's connection
  std::unique_ptr<Reconciler> reconciler_;
};

}  // namespace sluice::reconcile
