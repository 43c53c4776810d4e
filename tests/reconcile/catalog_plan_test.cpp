#include "catalog_spec.hpp"

#include <gtest/gtest.h>

#include "sluice/dialect/format.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kNow = 1'800'000'000 * kSecond;

ledger::Price price(ledger::Id model, std::uint64_t version, TimeNs from_ns) {
  ledger::Price out;
  out.model_id = model;
  out.row.version = version;
  out.row.effective_from_ns = from_ns;
  out.row.base = {1, 1, 1, 1, 1, {}};
  return out;
}

ledger::CatalogSnapshot snapshot() {
  ledger::CatalogSnapshot out;
  out.generation = 7;
  out.groups = {{1, "default", 1000}};
  out.providers = {{1, "p", "claude", "https://api.example.com:8443/v1", "x-api-key", "", true}};
  out.provider_keys = {{4, 1, "k", "c2VhbGVk", "", "", true}};
  ledger::Channel channel;
  channel.id = 2;
  channel.name = "c";
  channel.provider_id = 1;
  channel.priority = 5;
  channel.proxy = "socks5://proxy.example.com:1080";
  out.channels = {channel};
  ledger::Model model;
  model.id = 3;
  model.name = "m";
  model.aliases = "fast,quick";
  model.formats = "claude,openai";
  model.input_margin = 1700;
  out.models = {model};
  out.routes = {{3, 2, "upstream", -1, 7, 0}};
  out.prices = {price(3, 1, kNow - 2 * kSecond), price(3, 2, kNow - kSecond), price(3, 3, kNow + 10 * kSecond),
                price(3, 4, kNow + 20 * kSecond)};
  out.texts = {{1, ledger::TextKind::model_set, "m,gpt-*"},
               {2, ledger::TextKind::cidr_set, "10.0.0.0/8!10.1.0.0/16"},
               {3, ledger::TextKind::zone, "Asia/Tokyo"}};
  return out;
}

CatalogPlan plan(const ledger::CatalogSnapshot& rows, std::vector<std::string>* told = nullptr,
                 const std::set<std::uint64_t>& used = {}) {
  std::vector<std::string> warnings;
  const PriceBook prices(rows.prices, rows.models);
  CatalogPlan out = plan_catalog(rows, prices, used, kNow, warnings);
  if (told != nullptr) *told = warnings;
  return out;
}

TEST(CatalogPlan, BuildsAFileThatOpens) {
  std::string message;
  const CatalogPlan made = plan(snapshot());
  const auto bytes = state::build_catalog(made.spec, message);
  ASSERT_TRUE(bytes) << message;
  const auto catalog = state::Catalog::view(*bytes);
  ASSERT_TRUE(catalog);
  EXPECT_EQ((*catalog)->generation(), 7U);
  const auto* model = (*catalog)->find_model("quick");
  ASSERT_NE(model, nullptr);
  const auto bit = [](dialect::Format format) { return 1U << static_cast<unsigned>(format); };
  EXPECT_EQ(model->formats, bit(dialect::Format::claude) | bit(dialect::Format::openai));
  const auto& channel = (*catalog)->channel((*catalog)->candidates(*model)[0]);
  EXPECT_EQ(channel.format, static_cast<std::uint8_t>(dialect::Format::claude));
  EXPECT_EQ(channel.port, 8443);
  EXPECT_EQ((*catalog)->text(channel.host), "api.example.com");
  EXPECT_EQ((*catalog)->text(channel.base_path), "/v1");
  EXPECT_EQ(channel.proxy, state::ProxyKind::socks5);
  EXPECT_EQ((*catalog)->text((*catalog)->keys(channel)[0].sealed), "c2VhbGVk");
  EXPECT_TRUE((*catalog)->model_in_set(1, *model));
  EXPECT_EQ((*catalog)->candidates(*model)[0].priority, 5);
  EXPECT_EQ((*catalog)->candidates(*model)[0].weight, 7);
}

TEST(CatalogPlan, TakesThePriceInForceAndTheNext) {
  const CatalogPlan made = plan(snapshot(), nullptr, {1});
  EXPECT_EQ(made.spec.models[0].price_version, 2U);
  EXPECT_EQ(made.spec.models[0].next_price_version, 3U);
  EXPECT_EQ(made.rebuild_at_ns, kNow + 10 * kSecond);
  // Version 1 because an open hold has it; 4 comes with the next file.
  ASSERT_EQ(made.spec.prices.size(), 3U);
  EXPECT_EQ(made.spec.prices[0].version, 1U);
  EXPECT_EQ(made.spec.prices[0].input_margin, 1700U);
}

TEST(CatalogPlan, ResolvesHostsOfWhatIsEnabled) {
  ledger::CatalogSnapshot rows = snapshot();
  EXPECT_EQ(plan(rows).hosts, (std::set<HostPort>{{"api.example.com", 8443}, {"proxy.example.com", 1080}}));
  rows.providers[0].enabled = false;
  const CatalogPlan off = plan(rows);
  EXPECT_TRUE(off.hosts.empty());
  EXPECT_EQ(off.spec.channels[0].flags & state::kChannelEnabled, 0U);
}

TEST(CatalogPlan, WhatCannotBeUsedIsLeftOutAndSaid) {
  ledger::CatalogSnapshot rows = snapshot();
  rows.prices.clear();
  rows.providers[0].base_url = "nonsense";
  rows.texts.push_back({9, ledger::TextKind::zone, "Europe/Atlantis"});
  std::vector<std::string> warnings;
  const CatalogPlan made = plan(rows, &warnings);
  EXPECT_EQ(warnings.size(), 3U);
  EXPECT_TRUE(made.spec.channels.empty());
  std::string message;
  EXPECT_TRUE(state::build_catalog(made.spec, message)) << message;
}

}  // namespace
}  // namespace sluice::reconcile
