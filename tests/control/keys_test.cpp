#include "control_fixture.hpp"

namespace sluice::control {
namespace {

class KeysTest : public ControlTest {
 protected:
  KeysTest() { EXPECT_TRUE(add_customer(*service_, "acme", {})); }
};

TEST_F(KeysTest, TheLedgerHoldsTheHmacOnly) {
  auto made = add_key(*service_, "acme", "staging", {});
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_TRUE(is_well_formed_api_key(made->secret));
  auto stored = find_key(*service_, "acme", "staging");
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->digest, to_hex(hasher_.hash(made->secret)));
  EXPECT_EQ(stored->last_chars, made->secret.substr(48));
  for (const ledger::AuditRow& row : *ledger_->audit().list(10)) {
    EXPECT_EQ((row.detail + row.subject).find(made->secret), std::string::npos);
  }
}

TEST_F(KeysTest, PolicyIsReadExactly) {
  KeySettings settings;
  settings.models = " gpt-* , o3,gpt-*";
  settings.cidr_allow = "10.0.0.0/8, 2001:db8::/32";
  settings.expires = "30d";
  settings.budget_total = "25.50";
  settings.budget_day = "none";
  settings.max_in_flight = "5";
  settings.zone = "Asia/Tokyo";
  settings.on_disconnect = "drain";
  settings.drain_time = "90s";
  settings.drain_bytes = "2MiB";
  auto made = add_key(*service_, "acme", "k", settings);
  ASSERT_TRUE(made) << made.error().text;
  const ledger::KeyPolicy& policy = made->key.policy;
  EXPECT_EQ(policy.models, "gpt-*,o3");
  EXPECT_EQ(policy.cidr_allow, "10.0.0.0/8,2001:db8::/32");
  EXPECT_EQ(policy.expires_ns, clock_.realtime_ns() + 30 * 86'400 * kSecond);
  EXPECT_EQ(policy.budget_total, 25'500'000'000);
  EXPECT_EQ(policy.budget_day, ledger::kUnlimited);
  EXPECT_EQ(policy.max_in_flight, 5);
  EXPECT_EQ(policy.on_disconnect, ledger::OnDisconnect::drain);
  EXPECT_EQ(policy.drain_seconds, 90);
  EXPECT_EQ(policy.drain_bytes, 2 << 20);
  EXPECT_TRUE(policy.clamp);  // default of a key with a budget
  EXPECT_FALSE(add_key(*service_, "acme", "plain", {})->key.policy.clamp);
}

TEST_F(KeysTest, DisablingRaisesTheGeneration) {
  auto made = add_key(*service_, "acme", "k", {});
  ASSERT_TRUE(made);
  KeySettings off;
  off.enabled = false;
  bool changed = false;
  auto key = set_key(*service_, "acme", "k", off, changed);
  ASSERT_TRUE(key);
  EXPECT_TRUE(changed);
  EXPECT_GT(key->generation, made->key.generation);
  ASSERT_TRUE(set_key(*service_, "acme", "k", off, changed));
  EXPECT_FALSE(changed);
}

TEST_F(KeysTest, RotationGivesANewSecretAndKeepsTheOldOneForAWhile) {
  KeySettings settings;
  settings.budget_total = "5";
  const auto made = add_key(*service_, "acme", "k", settings);
  ASSERT_TRUE(made);
  const auto rotated = rotate_key(*service_, "acme", "k", "24h");
  ASSERT_TRUE(rotated) << rotated.error().text;
  EXPECT_NE(rotated->secret, made->secret);
  EXPECT_TRUE(is_well_formed_api_key(rotated->secret));
  const auto key = find_key(*service_, "acme", "k");
  EXPECT_EQ(key->id, made->key.id);
  EXPECT_EQ(key->policy, made->key.policy);
  EXPECT_EQ(key->digest, to_hex(hasher_.hash(rotated->secret)));
  const auto former = ledger_->keys().former_of(key->id);
  ASSERT_EQ(former->size(), 1U);
  EXPECT_EQ(former->front().digest, made->key.digest);
  EXPECT_EQ(former->front().expires_ns, clock_.realtime_ns() + 24 * 3600 * kSecond);
  for (const ledger::AuditRow& row : *ledger_->audit().list(10)) {
    for (const std::string& secret : {made->secret, rotated->secret})
      EXPECT_EQ((row.detail + row.subject).find(secret), std::string::npos);
  }
  ASSERT_TRUE(rotate_key(*service_, "acme", "k", "0"));
  for (const ledger::FormerSecret& secret : *ledger_->keys().former_of(key->id))
    EXPECT_LE(secret.expires_ns, clock_.realtime_ns());
  EXPECT_EQ(problem_of(rotate_key(*service_, "acme", "k", "soon")),
            "overlap: must be a time such as 24h, at most 90d, or 0");
  EXPECT_EQ(problem_of(rotate_key(*service_, "acme", "k", "24h", made->secret)),
            "key 'acme/k': exists already");
  EXPECT_EQ(problem_of(rotate_key(*service_, "acme", "none", "24h")), "key 'acme/none': not found");
}

TEST_F(KeysTest, MistakesHaveOneClearLine) {
  const auto problem_with = [&](auto member, const char* value) {
    KeySettings settings;
    settings.*member = value;
    return problem_of(add_key(*service_, "acme", "k", settings));
  };
  EXPECT_EQ(problem_with(&KeySettings::models, ""),
            "models: must name at least one model or pattern such as gpt-*");
  EXPECT_EQ(problem_with(&KeySettings::models, "a b"), "models: 'a b' is no model name or pattern");
  EXPECT_EQ(problem_with(&KeySettings::cidr_allow, "10.0.0.1/8"),
            "allow: '10.0.0.1/8' is no network such as 10.0.0.0/8 or 2001:db8::/32");
  EXPECT_EQ(problem_with(&KeySettings::expires, "soon"),
            "expires: must be a time from now such as 30d, a date such as 2027-01-01, or never");
  for (const char* bad : {"0", "-1", "1e9", "NaN", "99999999999", "5,5"}) {
    EXPECT_EQ(problem_with(&KeySettings::budget_day, bad),
              "budget-day: must be USD above 0 such as 25.50, or none")
        << bad;
  }
  EXPECT_EQ(problem_with(&KeySettings::max_in_flight, "0"),
            "max-in-flight: must be a whole number, 1 to 1000000, or none");
  EXPECT_EQ(problem_with(&KeySettings::on_disconnect, "maybe"),
            "on-disconnect: must be cancel or drain");
  EXPECT_EQ(problem_with(&KeySettings::credentials, "hide"),
            "credentials: must be pass, mask or refuse");
  EXPECT_EQ(problem_of(add_key(*service_, "nobody", "k", {})), "customer 'nobody': not found");
  EXPECT_EQ(problem_of(add_key(*service_, "acme", "k", {}, "short")),
            "secret: must be 24 to 200 printable ASCII characters without blanks");
  EXPECT_EQ(find_key(*service_, "acme", "k").error().code, Errc::not_found);
  ASSERT_TRUE(add_key(*service_, "acme", "k", {}));
  EXPECT_EQ(problem_of(add_key(*service_, "acme", "k", {})), "key 'acme/k': exists already");
}

}  // namespace
}  // namespace sluice::control
