// What providers say that they offer.
#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

class OfferTest : public LedgerTest {
 protected:
  Id add_provider(const std::string& name) {
    Provider provider;
    provider.name = name;
    provider.dialect = "openai";
    provider.base_url = "https://api.example.com/v1";
    provider.auth = "bearer";
    EXPECT_TRUE(ledger_->catalog().put(provider)) << ledger_->last_error();
    return provider.id;
  }
  /// "name@seconds …": the names and since when, from the start of the test.
  std::string offered(Id provider) {
    const auto offer = ledger_->offers().of(provider);
    EXPECT_TRUE(offer) << ledger_->last_error();
    std::string out = offer->complete ? "all:" : "some:";
    for (const OfferedModel& model : offer->models)
      out += " " + model.name + "@" + std::to_string((model.since_ns - start_ns_) / kSecond);
    return out;
  }
  const TimeNs start_ns_ = clock_.realtime_ns();
};

TEST_F(OfferTest, AListTakesThePlaceOfTheOneBefore) {
  const Id east = add_provider("east");
  const Id west = add_provider("west");
  EXPECT_EQ(ledger_->offers().of(east)->at_ns, 0);
  ASSERT_TRUE(ledger_->offers().put(east, true, {"b", "a", "b"})) << ledger_->last_error();
  ASSERT_TRUE(ledger_->offers().put(west, true, {"a"}));
  EXPECT_EQ(offered(east), "all: a@0 b@0");
  clock_.advance(7 * kSecond);
  ASSERT_TRUE(ledger_->offers().put(east, false, {"c", "a"}));
  EXPECT_EQ(offered(east), "some: a@0 c@7");
  EXPECT_EQ(ledger_->offers().of(east)->at_ns, clock_.realtime_ns());
  EXPECT_EQ(offered(west), "all: a@0") << "another provider's stays";
  clock_.advance(7 * kSecond);
  ASSERT_TRUE(ledger_->offers().put(east, true, {"b"}));
  EXPECT_EQ(offered(east), "all: b@14") << "what comes back is new";
  ASSERT_TRUE(ledger_->offers().put(east, true, {}));
  reopen();
  EXPECT_EQ(offered(east), "all:");
  const auto all = ledger_->offers().all();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ(all->at(1).provider_id, west);
}

TEST_F(OfferTest, OfNobodyIsAnError) {
  EXPECT_FALSE(ledger_->offers().put(99, true, {"a"}));
  EXPECT_TRUE(ledger_->offers().all()->empty());
}

}  // namespace
}  // namespace sluice::ledger
