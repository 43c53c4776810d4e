// Providers' lists of models beside the routes of the catalog.
#include "sluice/control/offers.hpp"

#include <gtest/gtest.h>

namespace sluice::control {
namespace {

/// Provider 1 with the channels a and b, provider 2 with c; models x, y and z.
ledger::CatalogSnapshot catalog() {
  ledger::CatalogSnapshot out;
  for (const auto& [id, name, provider] :
       {std::tuple{10, "a", 1}, std::tuple{11, "b", 1}, std::tuple{12, "c", 2}}) {
    ledger::Channel channel;
    channel.id = id;
    channel.name = name;
    channel.provider_id = provider;
    out.channels.push_back(channel);
  }
  for (const auto& [id, name] : {std::pair{20, "x"}, std::pair{21, "y"}, std::pair{22, "z"}}) {
    ledger::Model model;
    model.id = id;
    model.name = name;
    out.models.push_back(model);
  }
  const auto lead = [&](ledger::Id model, ledger::Id channel, const char* upstream) {
    out.routes.push_back({.model_id = model, .channel_id = channel, .upstream_model = upstream});
  };
  lead(21, 10, "up-1");
  lead(20, 10, "up-1");
  lead(20, 11, "up-1");
  lead(22, 10, "");
  lead(22, 12, "gone");
  lead(20, 12, "*");
  lead(99, 10, "of nobody");
  return out;
}

ledger::ProviderOffer offer(ledger::Id provider, std::vector<std::string> names,
                            bool complete = true) {
  ledger::ProviderOffer out{.provider_id = provider, .at_ns = 5, .complete = complete};
  for (std::string& name : names) out.models.push_back({std::move(name), 7});
  return out;
}

std::string text_of(const std::vector<UnlistedRoute>& routes) {
  std::string out;
  for (const UnlistedRoute& route : routes)
    out += route.channel + ":" + route.model + "=" + route.upstream_model + " ";
  return out;
}

TEST(Offers, ShowWhatHasANameHereAndWhatIsNotListed) {
  const auto rows = compare_offer(catalog(), offer(1, {"new", "up-1"}));
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].name, "new");
  EXPECT_TRUE(rows[0].offered);
  EXPECT_EQ(rows[0].since_ns, 7);
  EXPECT_TRUE(rows[0].models.empty());
  EXPECT_EQ(rows[1].name, "up-1");
  EXPECT_EQ(rows[1].models, (std::vector<std::string>{"x", "y"})) << "each once";
  EXPECT_EQ(rows[2].name, "z");
  EXPECT_FALSE(rows[2].offered);
  EXPECT_EQ(rows[2].models, (std::vector<std::string>{"z"}));
}

TEST(Offers, ARouteToWhatIsNotListedIsFound) {
  EXPECT_EQ(text_of(unlisted_routes(catalog(), {})), "") << "nothing is known";
  EXPECT_EQ(text_of(unlisted_routes(catalog(), {offer(1, {"up-1", "z"}), offer(2, {"other"})})),
            "c:z=gone ");
  EXPECT_EQ(text_of(unlisted_routes(catalog(), {offer(1, {"z"})})), "a:x=up-1 a:y=up-1 b:x=up-1 ");
}

TEST(Offers, WhatAListThatIsNotWholeLacksSaysNothing) {
  EXPECT_EQ(text_of(unlisted_routes(catalog(), {offer(1, {"z"}, false), offer(2, {})})), "");
}

TEST(Offers, WhatIsSwitchedOffIsNotMissed) {
  ledger::CatalogSnapshot off = catalog();
  off.channels[0].enabled = false;
  off.models[0].enabled = false;
  EXPECT_EQ(text_of(unlisted_routes(off, {offer(1, {"other"})})), "");
}

}  // namespace
}  // namespace sluice::control
