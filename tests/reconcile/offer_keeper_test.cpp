// Lists of models from the files of shards to the ledger, and what of the catalog is not in them.
#include <filesystem>
#include <fstream>

#include "node.hpp"
#include "sluice/state/boards.hpp"
#include "sluice/state/offers.hpp"

namespace sluice::reconcile {
namespace {

class OfferKeeperTest : public Node {
 protected:
  OfferKeeperTest() {
    provider_.name = "east";
    provider_.dialect = "openai";
    provider_.base_url = "https://api.example.com/v1";
    provider_.auth = "none";
    EXPECT_TRUE(books_->catalog().put(provider_)) << books_->last_error();
    ledger::Channel channel;
    channel.name = "east";
    channel.provider_id = provider_.id;
    EXPECT_TRUE(books_->catalog().put(channel));
    channel_ = static_cast<std::uint32_t>(channel.id);
    model_.name = "m";
    EXPECT_TRUE(books_->catalog().put(model_));
    EXPECT_TRUE(books_->catalog().put_routes(model_.id, {{model_.id, channel.id, "up"}}));
  }
  void write(const std::vector<std::string>& names, bool complete = true) {
    ASSERT_TRUE(state::write_offer(environment().epoch_directory(), {channel_, complete, names}));
  }
  void second() {
    for (int i = 0; i < 3; ++i) {
      clock_.advance(kSecond / 2);
      ASSERT_TRUE(reconciler_->step());
    }
  }
  std::string offered() {
    std::string out;
    const auto offer = books_->offers().of(provider_.id);
    EXPECT_TRUE(offer) << books_->last_error();
    for (const ledger::OfferedModel& model : offer->models) out += model.name + " ";
    return out;
  }
  std::uint64_t unlisted() { return environment().boards().admission().routes_unlisted.load(); }
  bool waits() { return !state::offers_waiting(environment().epoch_directory(), 10)->empty(); }

  ledger::Provider provider_;
  ledger::Model model_;
  std::uint32_t channel_ = 0;
};

TEST_F(OfferKeeperTest, AListGoesToTheLedgerAndWhatItLacksIsCounted) {
  start();
  settle_down();
  write({"up", "other"});
  second();
  EXPECT_EQ(offered(), "other up ");
  EXPECT_FALSE(waits());
  EXPECT_EQ(unlisted(), 0U);
  write({"other"});
  second();
  EXPECT_EQ(unlisted(), 1U);
  // The operator leads the route elsewhere: no new list is needed to see it.
  ASSERT_TRUE(books_->catalog().put_routes(model_.id, {{model_.id, channel_, "other"}}));
  settle_down();
  second();
  EXPECT_EQ(unlisted(), 0U);
}

TEST_F(OfferKeeperTest, ARestartKnowsWhatIsNotListed) {
  start();
  settle_down();
  write({"other"});
  second();
  EXPECT_EQ(unlisted(), 1U);
  start();
  second();
  EXPECT_EQ(unlisted(), 1U);
}

TEST_F(OfferKeeperTest, WhatNoShardWouldWriteIsDropped) {
  start();
  settle_down();
  const std::string path = environment().epoch_directory() + "/offer.";
  std::ofstream(path + std::to_string(channel_)) << "complete\nnot a name\n";
  std::ofstream(path + "4000") << "complete\nof no channel\n";
  second();
  EXPECT_FALSE(waits());
  EXPECT_EQ(books_->offers().of(provider_.id)->at_ns, 0);
  write({"up"});
  second();
  EXPECT_EQ(offered(), "up ");
}

}  // namespace
}  // namespace sluice::reconcile
