#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

TEST_F(LedgerTest, NamesAreUnique) {
  add_customer("acme");
  Customer again;
  again.name = "acme";
  Wallet wallet;
  EXPECT_EQ(ledger_->customers().add(again, wallet).error().code, Errc::conflict);
  EXPECT_EQ(ledger_->customers().by_name("nobody").error().code, Errc::not_found);
}

TEST_F(LedgerTest, KeyFieldsComeBackAsTheyWere) {
  const Wallet wallet = add_customer("acme");
  ApiKey key;
  key.wallet_id = wallet.id;
  key.name = "staging";
  key.digest = std::string(64, 'a');
  key.last_chars = "wxyz";
  key.policy.models = "gpt-*,o3";
  key.policy.cidr_allow = "10.0.0.0/8";
  key.policy.expires_ns = 77;
  key.policy.budget_day = 5 * kNanosPerUsd;
  key.policy.max_in_flight = 3;
  key.policy.zone = "Asia/Tokyo";
  key.policy.on_disconnect = OnDisconnect::drain;
  key.policy.on_revoke = OnRevoke::cut;
  key.policy.drain_bytes = 9;
  key.policy.excess_max = 8;
  key.policy.clamp = true;
  key.policy.may_pin = true;
  ASSERT_TRUE(ledger_->keys().add(key)) << ledger_->last_error();
  auto back = ledger_->keys().by_name(wallet.id, "staging");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->policy, key.policy);
  EXPECT_EQ(back->digest, key.digest);
  EXPECT_EQ(back->generation, key.generation);
  back->enabled = false;
  back->policy.clamp = false;
  ASSERT_TRUE(ledger_->keys().update(*back));
  EXPECT_GT(back->generation, key.generation);
  auto changed = ledger_->keys().changed_after(key.generation);
  ASSERT_TRUE(changed);
  ASSERT_EQ(changed->size(), 1U);
  EXPECT_FALSE((*changed)[0].enabled);
  EXPECT_EQ((*changed)[0].policy, back->policy);
}

TEST_F(LedgerTest, PriceRowsComeBackAsTheyWereAndStay) {
  Model model;
  model.name = "m";
  ASSERT_TRUE(ledger_->catalog().put(model)) << ledger_->last_error();
  Price price;
  price.model_id = model.id;
  price.row.effective_from_ns = 5;
  price.row.base = {1, 2, 3, 4, 5, {}};
  price.row.bands[0] = {200'000, {6, 7, 8, 9, 10, {}}};
  price.row.windows[0] = {500, 990, 1110, 0x7f, {}};
  price.row.holidays[1] = 20'000;
  price.row.tiers = {1000, 500, 0, 0};
  price.row.fees[1] = 10'000'000;
  price.row.flags = price::kRowFree;
  ASSERT_TRUE(ledger_->catalog().add(price)) << ledger_->last_error();
  EXPECT_EQ(price.row.version, 1U);
  auto rows = ledger_->catalog().prices(model.id);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1U);
  const price::PriceRow& back = (*rows)[0].row;
  EXPECT_EQ(back.base.output, 5);
  EXPECT_EQ(back.bands[0].above_prompt_tokens, 200'000);
  EXPECT_EQ(back.bands[0].rates.cache_write_long, 9);
  EXPECT_EQ(back.windows[0].end_minute, 1110);
  EXPECT_EQ(back.holidays[0], 20'000);
  EXPECT_EQ(back.tiers, price.row.tiers);
  EXPECT_EQ(back.fees, price.row.fees);
  EXPECT_TRUE(back.free());
}

TEST_F(LedgerTest, OneSequenceNumbersAllChanges) {
  auto& catalog = ledger_->catalog();
  EXPECT_EQ(catalog.newest().value_or(-1), 0);
  add_customer("acme");
  const auto wallets = catalog.generation(Topic::wallets).value_or(-1);
  Provider provider;
  provider.name = "p";
  ASSERT_TRUE(catalog.put(provider));
  EXPECT_GT(catalog.generation(Topic::catalog).value_or(-1), wallets);
  EXPECT_EQ(catalog.newest().value_or(-1), catalog.generation(Topic::catalog).value_or(-2));
  EXPECT_EQ(catalog.published(1).value_or(-1), 0);
  ASSERT_TRUE(catalog.set_published(1, 2));
  EXPECT_EQ(catalog.published(1).value_or(-1), 2);
}

TEST_F(LedgerTest, TextsKeepTheirNumbers) {
  auto& catalog = ledger_->catalog();
  const Id first = catalog.number_of(TextKind::zone, "Asia/Tokyo").value_or(0);
  EXPECT_GT(first, 0);
  EXPECT_EQ(catalog.number_of(TextKind::zone, "Asia/Tokyo").value_or(0), first);
  EXPECT_EQ(catalog.number_of(TextKind::zone, "UTC").value_or(-1), 0);
  EXPECT_EQ(catalog.number_of(TextKind::model_set, "*").value_or(-1), 0);
  EXPECT_NE(catalog.number_of(TextKind::model_set, "gpt-*").value_or(0), first);
}

TEST_F(LedgerTest, SnapshotHasEverything) {
  auto& catalog = ledger_->catalog();
  Provider provider;
  provider.name = "p";
  ASSERT_TRUE(catalog.put(provider));
  ProviderKey key;
  key.provider_id = provider.id;
  key.name = "k";
  ASSERT_TRUE(catalog.put(key));
  Channel channel;
  channel.name = "c";
  channel.provider_id = provider.id;
  ASSERT_TRUE(catalog.put(channel));
  Model model;
  model.name = "m";
  ASSERT_TRUE(catalog.put(model));
  ASSERT_TRUE(catalog.put_routes(model.id, {{model.id, channel.id, "upstream-m", -1, -1, 0}}));
  auto snapshot = catalog.snapshot();
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->groups.size(), 1U);
  EXPECT_EQ(snapshot->provider_keys.size(), 1U);
  EXPECT_EQ(snapshot->channels[0].provider_id, provider.id);
  EXPECT_EQ(snapshot->routes[0].upstream_model, "upstream-m");
  EXPECT_EQ(snapshot->generation, catalog.newest().value_or(-1));
}

TEST_F(LedgerTest, AuditLogIsKeptWithTheChange) {
  ASSERT_TRUE(ledger_->audit().append("root", "key add", "acme/staging", "budget 10"));
  auto rows = ledger_->audit().list(10);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ((*rows)[0].subject, "acme/staging");
}

}  // namespace
}  // namespace sluice::ledger
