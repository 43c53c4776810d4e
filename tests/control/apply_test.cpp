#include "control_fixture.hpp"

namespace sluice::control {
namespace {

constexpr const char* kFile = R"(
[[group]]
name = "partner"
multiplier = 0.9

[[provider]]
name = "mock"
dialect = "openai"
base_url = "http://127.0.0.1:9101/v1"
  [[provider.key]]
  name = "main"
  secret = "upstream-secret"

[[channel]]
name = "mock-a"
provider = "mock"
weight = 10

[[model]]
name = "demo/small"
aliases = ["small"]
formats = ["openai"]
max_output_tokens = 4096
  [[model.route]]
  channel = "mock-a"
  upstream_model = "small-v1"
  [[model.price]]
  input = 0.15
  output = "0.60"
  cache_read = 0.075
    [[model.price.band]]
    above_prompt_tokens = 200000
    input = 0.3
    output = 1.2
    [model.price.fees]
    web_search = 0.01

[[customer]]
name = "acme"
group = "partner"
credit = "25 USD"
  [[customer.key]]
  name = "staging"
  models = ["demo/*"]
  budget_day = 5
  expires = "30d"
)";

TEST_F(ControlTest, ApplyCreatesThenChangesNothing) {
  auto first = apply_toml(*service_, kFile, "demo.toml");
  ASSERT_TRUE(first) << first.error().text;
  std::string made;
  for (const AppliedChange& change : first->changes)
    made += change.noun + ":" + change.name + ":" + change.action + " ";
  EXPECT_EQ(made,
            "group:partner:created provider:mock:created provider key:mock/main:created "
            "channel:mock-a:created "
            "model:demo/small:created price:demo/small:created customer:acme:created "
            "credit:acme:credited "
            "key:acme/staging:created ");
  EXPECT_TRUE(is_well_formed_api_key(first->changes.back().secret));
  const auto generation = ledger_->catalog().newest();
  clock_.advance(3600 * kSecond);
  auto second = apply_toml(*service_, kFile, "demo.toml");
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_TRUE(second->changes.empty());
  EXPECT_EQ(second->unchanged, 8);
  EXPECT_EQ(ledger_->catalog().newest().value_or(-1), generation.value_or(-2));
  EXPECT_EQ(find_customer(*service_, "acme")->wallet.balance, 25 * kNanosPerUsd);
}

TEST_F(ControlTest, ApplyUpdatesWhatDiffers) {
  ASSERT_TRUE(apply_toml(*service_, kFile, "demo.toml"));
  clock_.advance(kSecond);
  auto report = apply_toml(*service_, R"(
[[channel]]
name = "mock-a"
weight = 20
[[model]]
name = "demo/small"
  [[model.price]]
  input = 0.2
  output = 0.6
[[customer]]
name = "acme"
  [[customer.key]]
  name = "staging"
  enabled = false
)",
                           "more.toml");
  ASSERT_TRUE(report) << report.error().text;
  ASSERT_EQ(report->changes.size(), 3U);
  EXPECT_EQ(report->changes[0].noun, "channel");
  EXPECT_EQ(report->changes[1].noun, "price");
  EXPECT_EQ(report->changes[2].name, "acme/staging");
  EXPECT_EQ(report->changes[2].action, "updated");
  EXPECT_TRUE(report->changes[2].secret.empty());
}

TEST_F(ControlTest, ApplyIsAllOrNothing) {
  auto report = apply_toml(
      *service_, std::string(kFile) + "\n[[channel]]\nname = \"b\"\nprovider = \"none\"\n",
      "x.toml");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().text, "x.toml:49: channel.name: provider 'none': not found");
  EXPECT_TRUE(list_customers(*service_)->empty());
  EXPECT_EQ(ledger_->catalog().newest().value_or(-1), 0);
}

TEST_F(ControlTest, ApplyNamesThePlaceOfAMistake) {
  const struct {
    const char* toml;
    const char* message;
  } cases[] = {
      {"[[provder]]\nname = \"x\"", "f.toml:1: provder: unknown key"},
      {"[[provider]]\nname = \"x\"\nbase = 1", "f.toml:3: provider.base: unknown key"},
      {"[[provider]]\nname = \"x\"",
       "f.toml:2: provider.name: provider 'x': needs a dialect and a base-url"},
      {"[[customer]]\nname = \"x\"\ncredit = -1",
       "f.toml:3: customer.credit: amount: must be USD above 0 such as 25.50"},
      {"[[model]]\nname = \"m\"\n[[model.price]]\ninput = 1\noutput = true",
       "f.toml:5: model.price.output: must be a number, or a number in quotes"},
      {"[[model]]\nname = \"m\"\nroutes = [\"c\"]", "f.toml:2: model.name: channel 'c': not found"},
  };
  for (const auto& item : cases) {
    auto report = apply_toml(*service_, item.toml, "f.toml");
    ASSERT_FALSE(report) << item.toml;
    EXPECT_EQ(report.error().text, item.message);
  }
}

}  // namespace
}  // namespace sluice::control
