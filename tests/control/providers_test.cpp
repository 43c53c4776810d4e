// What `apply` says of a provider's departures and of proxies.
#include <cstdlib>

#include "control_fixture.hpp"

namespace sluice::control {
namespace {

constexpr const char* kFile = R"(
[[provider]]
name = "glm"
dialect = "openai"
base_url = "https://api.z.ai/api/paas/v4"
quirks = ["cap-is-max-tokens", "no-stream-options"]
  [provider.errors]
  no_money = ["1113"]
  rate = ["1302", "1303"]
  [[provider.key]]
  name = "main"
  secret = "upstream-secret"
[[channel]]
name = "glm"
provider = "glm"
proxy = "socks5://proxy.example.com:1080"
proxy_credentials_env = "SLUICE_TEST_PROXY"
)";

TEST_F(ControlTest, QuirksAndErrorClassesAreStored) {
  ASSERT_EQ(problem_of(apply_toml(*service_, kFile, "f.toml")), "");
  auto provider = ledger_->catalog().provider("glm");
  EXPECT_EQ(provider->quirks, "cap-is-max-tokens,no-stream-options");
  EXPECT_EQ(provider->error_classes, "1113 no_money\n1302 rate\n1303 rate\n");
  // What is given replaces what was there.
  ASSERT_EQ(problem_of(apply_toml(*service_, R"(
[[provider]]
name = "glm"
quirks = []
[provider.errors]
)",
                                  "g.toml")),
            "");
  provider = ledger_->catalog().provider("glm");
  EXPECT_EQ(provider->quirks, "");
  EXPECT_EQ(provider->error_classes, "");
}

TEST_F(ControlTest, QuirksAndErrorClassesAreChecked) {
  const struct {
    const char* line;
    const char* message;
  } cases[] = {
      {"quirks = [\"odd\"]", "must be one of reasoning-outside-completion"},
      {"[provider.errors]\nodd = [\"1\"]", "unknown key"},
      {"[provider.errors]\nrate = [\"a b\"]", "1 to 60 printable"},
      {"[provider.errors]\nrate = [\"\"]", "1 to 60 printable"},
      {"[provider.errors]\nrate = [\"1\"]\ncaller = [\"1\"]", "two classes"},
  };
  for (const auto& c : cases) {
    const std::string toml = std::string(
                                 "[[provider]]\nname = \"x\"\ndialect = \"openai\"\n"
                                 "base_url = \"https://a.example\"\n") +
                             c.line;
    EXPECT_NE(problem_of(apply_toml(*service_, toml, "f.toml")).find(c.message), std::string::npos)
        << problem_of(apply_toml(*service_, toml, "f.toml"));
  }
}

TEST_F(ControlTest, CredentialsOfAProxyAreSealedAndKept) {
  setenv("SLUICE_TEST_PROXY", "me:a secret", 1);
  ASSERT_EQ(problem_of(apply_toml(*service_, kFile, "f.toml")), "");
  const auto first = ledger_->catalog().channel("glm");
  EXPECT_EQ(first->proxy, "socks5://proxy.example.com:1080");
  EXPECT_FALSE(first->proxy_credentials.empty());
  EXPECT_EQ(first->proxy_credentials.find("secret"), std::string::npos);
  EXPECT_TRUE(apply_toml(*service_, kFile, "f.toml")->changes.empty());
  unsetenv("SLUICE_TEST_PROXY");
  EXPECT_TRUE(apply_toml(*service_, kFile, "f.toml")->changes.empty()) << "what is stored stays";
  EXPECT_EQ(ledger_->catalog().channel("glm")->proxy_credentials, first->proxy_credentials);
  setenv("SLUICE_TEST_PROXY", "me:another", 1);
  EXPECT_EQ(apply_toml(*service_, kFile, "f.toml")->changes.size(), 1U);
  EXPECT_NE(ledger_->catalog().channel("glm")->proxy_credentials, first->proxy_credentials);
  unsetenv("SLUICE_TEST_PROXY");
  ChannelSettings none;
  none.proxy = "none";
  ASSERT_TRUE(put_channel(*service_, "glm", none));
  EXPECT_EQ(ledger_->catalog().channel("glm")->proxy_credentials, "");
}

TEST_F(ControlTest, ProxiesAreCheckedWhereTheyAreSet) {
  ASSERT_EQ(problem_of(apply_toml(*service_, kFile, "f.toml")), "");
  const struct {
    const char* proxy;
    const char* credentials;
    const char* message;
  } cases[] = {
      {"https://proxy.example.com:1080", nullptr, "must be http://host:port or socks5"},
      {"http://proxy.example.com", nullptr, "must be http://host:port or socks5"},
      {"http://me:secret@proxy.example.com:1", nullptr, "must not hold a user name or password"},
      {"http://10.0.0.1:3128", nullptr, "proxy: 10.0.0.1 is not a public address"},
      {"socks5://169.254.169.254:80", nullptr, "is not a public address"},
      {"http://127.0.0.1:3128", "no-colon", "must be user:password"},
      {"http://127.0.0.1:3128", ":x", "must be user:password"},
      {"http://127.0.0.1:3128", "x:\n", "must be user:password"},
      {"none", "a:b", "the channel has no proxy"},
  };
  for (const auto& c : cases) {
    ChannelSettings settings;
    settings.proxy = c.proxy;
    if (c.credentials != nullptr) settings.proxy_credentials = c.credentials;
    const std::string problem = problem_of(put_channel(*service_, "glm", settings));
    EXPECT_NE(problem.find(c.message), std::string::npos) << problem;
  }
}

}  // namespace
}  // namespace sluice::control
