#include "control_fixture.hpp"

namespace sluice::control {
namespace {

class CatalogTest : public ControlTest {
 protected:
  void add_model(const char* name) {
    ProviderSettings provider;
    provider.dialect = "openai";
    provider.base_url = "https://api.example.com/v1";
    ASSERT_EQ(problem_of(put_provider(*service_, "p", provider)), "");
    ChannelSettings channel;
    channel.provider = "p";
    ASSERT_EQ(problem_of(put_channel(*service_, "c", channel)), "");
    ModelSettings model;
    model.routes = {{"c", "upstream", -1, -1, 0}};
    ASSERT_EQ(problem_of(put_model(*service_, name, model)), "");
  }
  static PriceSettings price(const char* input, const char* output) {
    PriceSettings out;
    out.rates.input = input;
    out.rates.output = output;
    return out;
  }
};

TEST(BaseUrl, AcceptsAndCanonicalises) {
  const struct {
    const char* text;
    const char* canonical;
  } cases[] = {
      {"https://API.Example.com/v1/", "https://api.example.com/v1"},
      {"https://api.example.com:8443", "https://api.example.com:8443"},
      {"http://127.0.0.1:9001/openai", "http://127.0.0.1:9001/openai"},
      {"http://localhost:9001", "http://localhost:9001"},
      {"https://8.8.8.8", "https://8.8.8.8"},
      {"https://[2606:4700::1111]:443/v1", "https://[2606:4700::1111]:443/v1"},
  };
  for (const auto& item : cases) {
    const auto url = check_base_url(item.text, {"127.0.0.0/8"});
    ASSERT_TRUE(url) << item.text << ": " << url.error().text;
    EXPECT_EQ(*url, item.canonical);
  }
}

TEST(BaseUrl, RefusesWhatCouldLeadAstray) {
  for (const char* bad : {
           "api.example.com",
           "ftp://api.example.com",
           "https://",
           "https://user@api.example.com",
           "https://user:pass@api.example.com",
           "https://api.example.com/#x",
           "https://api.example.com/?a=b",
           "https://api.example.com:0",
           "https://api.example.com:70000",
           "https://api.example.com:80x",
           "https://api..example.com",
           "https://-api.example.com",
           "https://api.example.com.",
           "https://a b.com",
           "https://api.example.com/a/../b",
           "https://api.example.com//v1",
           "https://api.example.com/%2e%2e",
           "https://10.0.0.1",
           "https://169.254.169.254",
           "https://0.0.0.0",
           "https://[::1]",
           "https://[fe80::1]",
           "https://2130706433",
           "https://127.1",
           "https://0x7f.1",
           "https://0177.0.0.1",
           "http://api.example.com",
           "http://8.8.8.8",
           "https://[::ffff:169.254.169.254]",
           "https://api.example.com\r\nHost: x",
           "https://api.example.com\\@evil.com",
           "https://ex\xc3\xa4mple.com",
       }) {
    EXPECT_FALSE(check_base_url(bad, {"127.0.0.0/8"})) << bad;
  }
}

TEST_F(CatalogTest, PricesAreExact) {
  EXPECT_EQ(parse_price("input", "2.50").value_or(-1), 2'500'000'000);
  EXPECT_EQ(parse_price("input", "0.000000001").value_or(-1), 1);
  EXPECT_EQ(parse_price("input", "1000000").value_or(-1), 1'000'000 * kNanosPerUsd);
  for (const char* bad :
       {"", "-1", "1000000.000000001", "0.0000000001", "2,50", "1e-3", "inf", "nan", "2.5.0"}) {
    EXPECT_FALSE(parse_price("input", bad)) << bad;
  }
  EXPECT_EQ(parse_thousandths("m", "0.85", 0, 1000).value_or(-1), 850);
  for (const char* bad : {"0.8505", "-1", "1.001", "x"})
    EXPECT_FALSE(parse_thousandths("m", bad, 0, 1000)) << bad;
}

TEST_F(CatalogTest, APriceIsAddedOnlyWhenItDiffers) {
  add_model("m");
  EXPECT_EQ(put_price(*service_, "m", price("2.50", "10")).value_or(Change::none), Change::created);
  clock_.advance(kSecond);
  EXPECT_EQ(put_price(*service_, "m", price("2.5", "10.00")).value_or(Change::created),
            Change::none);
  EXPECT_EQ(put_price(*service_, "m", price("2.6", "10")).value_or(Change::none), Change::created);
  auto rows = ledger_->catalog().prices(0);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ((*rows)[1].row.base.input, 2'600'000'000);
  EXPECT_EQ((*rows)[1].row.base.cache_read, 2'600'000'000);  // not given: as input
}

TEST_F(CatalogTest, APriceOfTomorrowDoesNotHideTodays) {
  add_model("m");
  ASSERT_TRUE(put_price(*service_, "m", price("1", "1")));
  PriceSettings tomorrow = price("2", "2");
  tomorrow.effective = "2030-01-01";
  EXPECT_EQ(put_price(*service_, "m", tomorrow).value_or(Change::none), Change::created);
  EXPECT_EQ(put_price(*service_, "m", tomorrow).value_or(Change::created), Change::none);
  clock_.advance(kSecond);
  EXPECT_EQ(put_price(*service_, "m", price("1", "1")).value_or(Change::created), Change::none);
  tomorrow.rates.input = "3";
  EXPECT_EQ(
      problem_of(put_price(*service_, "m", tomorrow)),
      "price: a row of 2030-01-01T00:00:00Z exists, and rows are never changed: give a later date");
}

TEST_F(CatalogTest, FreeMustBeSaid) {
  add_model("m");
  EXPECT_FALSE(put_price(*service_, "m", price("0", "0")));
  PriceSettings free;
  free.free = true;
  EXPECT_TRUE(put_price(*service_, "m", free));
  free.rates.input = "1";
  EXPECT_EQ(problem_of(put_price(*service_, "m", free)),
            "price: a free model has no input or output price");
  EXPECT_EQ(problem_of(put_price(*service_, "none", price("1", "1"))), "model 'none': not found");
}

TEST_F(CatalogTest, BandsWindowsTiersAndFees) {
  add_model("m");
  PriceSettings settings = price("1.25", "10");
  settings.bands = {{200'000, {"2.5", "15", {}, {}, {}}}};
  settings.windows = {{"0.5", "16:30", "24:00", "1-5"}};
  settings.holidays = {"2027-01-01"};
  settings.tiers = {{"flex", "0.5"}};
  settings.fees = {{"web_search", "0.01"}};
  ASSERT_EQ(problem_of(put_price(*service_, "m", settings)), "");
  const price::PriceRow row = ledger_->catalog().prices(0)->front().row;
  EXPECT_EQ(row.bands[0].rates.output, 15 * kNanosPerUsd);
  EXPECT_EQ(row.windows[0].start_minute, 990);
  EXPECT_EQ(row.windows[0].end_minute, 1440);
  EXPECT_EQ(row.windows[0].weekdays, 0x1f);
  EXPECT_EQ(row.tiers[1], 500U);
  EXPECT_EQ(row.fees[1], 10'000'000);
  EXPECT_EQ(row.fees[0], price::kNoPrice);
  settings.windows[0].end = "16:00";
  EXPECT_FALSE(put_price(*service_, "m", settings));
  settings.windows.clear();
  settings.bands = {{200'000, {"1", "1", {}, {}, {}}}, {100'000, {"1", "1", {}, {}, {}}}};
  EXPECT_FALSE(put_price(*service_, "m", settings));
}

TEST_F(CatalogTest, ProviderKeysAreSealedAndComparedByFingerprint) {
  add_model("m");
  EXPECT_EQ(
      put_provider_key(*service_, "p", "main", "sk-upstream-secret", {}).value_or(Change::none),
      Change::created);
  EXPECT_EQ(
      put_provider_key(*service_, "p", "main", "sk-upstream-secret", {}).value_or(Change::created),
      Change::none);
  EXPECT_EQ(
      put_provider_key(*service_, "p", "main", "sk-upstream-other", {}).value_or(Change::none),
      Change::updated);
  EXPECT_EQ(put_provider_key(*service_, "p", "main", "", false).value_or(Change::none),
            Change::updated);
  auto keys = ledger_->catalog().provider_keys(0);
  ASSERT_TRUE(keys);
  EXPECT_EQ((*keys)[0].sealed.find("upstream"), std::string::npos);
  EXPECT_FALSE((*keys)[0].enabled);
  EXPECT_FALSE(put_provider_key(*service_, "p", "bad", "with blank", {}));
  EXPECT_FALSE(put_provider_key(*service_, "p", "empty", "", {}));
}

TEST_F(CatalogTest, HeadersCannotInject) {
  ProviderSettings provider;
  provider.dialect = "openai";
  provider.base_url = "https://api.example.com";
  for (const char* bad : {"X: a\r\nY: b", "X:a", ": a", "X Y: a", "X: \x01"}) {
    provider.extra_headers = {bad};
    EXPECT_FALSE(put_provider(*service_, "p", provider)) << bad;
  }
  provider.extra_headers = {"OpenAI-Organization: org-1"};
  ASSERT_TRUE(put_provider(*service_, "p", provider));
  EXPECT_EQ(ledger_->catalog().provider("p")->extra_headers, "OpenAI-Organization: org-1\r\n");
}

TEST_F(CatalogTest, NamesAndAliasesShareOneSpace) {
  add_model("m");
  ModelSettings other;
  other.aliases = {"fast"};
  ASSERT_TRUE(put_model(*service_, "n", other));
  EXPECT_EQ(problem_of(put_model(*service_, "fast", {})),
            "model 'fast': model 'n' answers to 'fast' already");
  other.aliases = {"m"};
  EXPECT_EQ(problem_of(put_model(*service_, "n", other)),
            "model 'n': model 'm' answers to 'm' already");
}

TEST_F(CatalogTest, RouteGroupsNameModelsThatAreThereAndNoOthers) {
  add_model("a");
  add_model("b");
  RouteGroupSettings group;
  group.models = {{"a", "b"}};
  EXPECT_EQ(*put_route_group(*service_, "premium", group), Change::created);
  EXPECT_EQ(*put_route_group(*service_, "premium", group), Change::none);
  group.models = {{"b", "a"}};
  EXPECT_EQ(*put_route_group(*service_, "premium", group), Change::updated);
  EXPECT_EQ(service_->ledger.catalog().route_group("premium").value().models, "b,a");
  group.models = {{"a", "gone"}};
  EXPECT_NE(problem_of(put_route_group(*service_, "premium", group)).find("gone"),
            std::string::npos);
  EXPECT_NE(problem_of(put_route_group(*service_, "empty", {})), "");
  group.models = {{"b"}};
  EXPECT_NE(problem_of(put_route_group(*service_, "a", group)), "") << "a model has that name";
  ModelSettings model;
  model.aliases = {{"premium"}};
  EXPECT_NE(problem_of(put_model(*service_, "a", model)), "") << "a group has that name";
}

TEST_F(CatalogTest, AnAliasMayBeAPatternButNotEverything) {
  add_model("a");
  ModelSettings model;
  model.aliases = {{"a-*", "*-b"}};
  EXPECT_EQ(problem_of(put_model(*service_, "a", model)), "");
  for (const char* bad : {"*", "**", "a b*", "-*"}) {
    model.aliases = {{bad}};
    EXPECT_NE(problem_of(put_model(*service_, "a", model)), "") << bad;
  }
}

}  // namespace
}  // namespace sluice::control
