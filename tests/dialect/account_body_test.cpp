#include "sluice/dialect/account_body.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include "sluice/dialect/flat_object.hpp"

namespace sluice::dialect {
namespace {

AccountView view() {
  AccountView account;
  account.available = 1'500'000'001;
  account.held = 250'000'000;
  account.spendable = 900'000'000;
  account.key.total = {.limit = 2 * kNanosPerUsd, .spent = 1'100'000'000, .reserved = 0};
  account.key.requests_per_minute = 60;
  account.key.in_flight = 3;
  return account;
}

TEST(AccountBody, BalanceIsExactText) {
  simdjson::dom::parser parser;
  const std::string text = render_account(Operation::account_balance, view());
  simdjson::dom::element root;
  ASSERT_EQ(parser.parse(simdjson::padded_string(text)).get(root), simdjson::SUCCESS) << text;
  EXPECT_EQ(root["available_usd"].get_string().value(), "1.500000001");
  EXPECT_EQ(root["held_usd"].get_string().value(), "0.250000000");
  EXPECT_EQ(root["key"]["total"]["limit_usd"].get_string().value(), "2.000000000");
  EXPECT_EQ(root["key"]["requests_per_minute"].get_uint64().value(), 60U);
  EXPECT_EQ(root["key"]["in_flight"].get_uint64().value(), 3U);
  EXPECT_TRUE(root["customer"]["day"]["limit_usd"].is_null());
}

TEST(AccountBody, ADesktopClientComesToWhatIsSpendable) {
  simdjson::dom::parser parser;
  const auto number = [&](Operation operation, const char* name) {
    const std::string text = render_account(operation, view());
    return parser.parse(simdjson::padded_string(text))[name].get_double().value();
  };
  const double limit = number(Operation::billing_subscription, "hard_limit_usd");
  const double used = number(Operation::billing_usage, "total_usage") / 100;
  EXPECT_DOUBLE_EQ(limit, 2.0);
  EXPECT_DOUBLE_EQ(used, 1.1);
  EXPECT_DOUBLE_EQ(limit - used, 0.9);
  EXPECT_DOUBLE_EQ(number(Operation::billing_grants, "total_available"), 0.9);
}

TEST(AccountBody, ADebtIsNegative) {
  AccountView account;
  account.available = -5;
  EXPECT_NE(render_account(Operation::account_balance, account).find("\"-0.000000005\""),
            std::string::npos);
}

TEST(FlatObject, GivesTextMembersAndPassesOverTheRest) {
  FlatObject members(
      R"({"a" : "1","n":5,"o":{"a":"2","b":["}"]}, "esc":"a\"b","l":[1,{"z":"]"}],"é":"ü" ,"e":"","t":true})");
  std::string seen;
  while (const auto member = members.next())
    seen += std::string(member->name) + "=" + std::string(member->value) + ";";
  EXPECT_EQ(seen, "a=1;é=ü;e=;");
}

TEST(FlatObject, AnythingElseHasNoMembers) {
  for (const std::string_view text : {"", "{}", "null", "{", "{\"a", "{\"a\"", "{\"a\":"}) {
    EXPECT_FALSE(FlatObject(text).next()) << text;
  }
}

}  // namespace
}  // namespace sluice::dialect
