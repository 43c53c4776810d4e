// A service over a ledger in memory, with a seeded source of randomness.
#pragma once

#include <gtest/gtest.h>

#include "sluice/control/apply.hpp"
#include "sluice/control/catalog.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/control/keys.hpp"
#include "sluice/control/secrets.hpp"

namespace sluice::control {

class ControlTest : public testing::Test {
 protected:
  ControlTest() {
    std::string message;
    auto opened = ledger::Ledger::open(":memory:", ledger::Access::read_write, clock_, message);
    EXPECT_TRUE(opened) << message;
    ledger_ = std::move(*opened);
    service_ = std::make_unique<Service>(
        Service{*ledger_, clock_, rng_, &hasher_, &sealer_, {"127.0.0.0/8"}, "tester"});
  }

  /// The problem's line, or "" when there was none.
  template <class T>
  static std::string problem_of(const Outcome<T>& outcome) {
    return outcome ? "" : outcome.error().text;
  }

  ManualClock clock_;
  SeededRng rng_{7};
  SodiumKeyHasher hasher_{Key256{1, 2, 3}};
  // The base point of X25519 (RFC 7748 §4.1): a valid public key for tests that never open what
  // they seal.
  Sealer sealer_{Key256{9}};
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<Service> service_;
};

}  // namespace sluice::control
