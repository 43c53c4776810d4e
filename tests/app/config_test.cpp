#include "sluice/app/config.hpp"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

Config parsed(std::string_view toml) {
  std::string message;
  const auto config = parse_config(toml, "conf/test.toml", message);
  EXPECT_TRUE(config) << message;
  return config.value_or(Config{});
}

std::string problem_of(std::string_view toml) {
  std::string message;
  EXPECT_FALSE(parse_config(toml, "conf/test.toml", message)) << toml;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

TEST(Config, AProblemIsOneLineWhateverTheKey) {
  EXPECT_EQ(problem_of("[edge]\n\"sh\\nards\\u007f\" = 1\n"),
            "conf/test.toml:2: edge.sh\\x0aards\\x7f: unknown key");
  EXPECT_FALSE(problem_of("[\"a\\nb\"]\nx = 1\n").empty());
}

TEST(Config, EmptyFileGivesDefaults) {
  const Config config = parsed("");
  EXPECT_EQ(config.node, 1U);
  ASSERT_EQ(config.edge.listeners.size(), 1U);
  EXPECT_EQ(config.edge.listeners[0].address, "127.0.0.1:8080");
  EXPECT_EQ(config.ledger.max_undrained_nanos, 10 * kNanosPerUsd);
}

TEST(Config, ReadsEveryKindOfValue) {
  const Config config = parsed(R"(
node = 7
allow_private = ["127.0.0.0/8", "::1/128"]
[edge]
shards = 4
spin = "0"
hsts = "30d"
cpus = [0, 2]
[[edge.listener]]
address = "[::1]:443"
certificate_file = "tls/chain.pem"
key_file = "/etc/key.pem"
[state]
directory = "/dev/shm/x"
map = "64MiB"
[ledger]
max_undrained = "2.50 USD"
drain_interval = "50ms"
[limits]
body = 1048576
[timeouts]
total = "1h"
)");
  EXPECT_EQ(config.node, 7U);
  EXPECT_EQ(config.allow_private.size(), 2U);
  EXPECT_EQ(config.edge.shards, 4U);
  EXPECT_EQ(config.edge.spin_ns, 0);
  EXPECT_EQ(config.edge.hsts_ns, 30 * 86'400 * kSecond);
  EXPECT_EQ(config.edge.cpus, (std::vector<int>{0, 2}));
  EXPECT_EQ(config.edge.listeners[0].tls.certificate_file, "conf/tls/chain.pem");
  EXPECT_EQ(config.edge.listeners[0].tls.key_file, "/etc/key.pem");
  EXPECT_EQ(config.state.map_bytes, 64 * kMiB);
  EXPECT_EQ(config.ledger.max_undrained_nanos, 2'500'000'000);
  EXPECT_EQ(config.ledger.drain_interval_ns, 50 * kMillisecond);
  EXPECT_EQ(config.limits.body_bytes, kMiB);
  EXPECT_EQ(config.timeouts.total_ns, 3600 * kSecond);
}

TEST(Config, MoneyAsNumberIsExact) {
  EXPECT_EQ(parsed("[ledger]\nmax_undrained = 0.1").ledger.max_undrained_nanos, 100'000'000);
  EXPECT_EQ(parsed("[ledger]\nmax_undrained = 3").ledger.max_undrained_nanos, 3 * kNanosPerUsd);
}

TEST(Config, EveryMistakeNamesItsPlace) {
  const struct {
    const char* toml;
    const char* message;
  } cases[] = {
      {"nodes = 1", "conf/test.toml:1: nodes: unknown key"},
      {"\n[edge]\nshard = 2", "conf/test.toml:3: edge.shard: unknown key"},
      {"[edge]\nshards = 0", "conf/test.toml:2: edge.shards: must be a whole number, 1 to 64"},
      {"[edge]\nshards = \"2\"", "conf/test.toml:2: edge.shards: must be a whole number, 1 to 64"},
      {"[timeouts]\ntotal = 5", "conf/test.toml:2: timeouts.total: must be a string in quotes"},
      {"[timeouts]\ntotal = \"5 s\"",
       "conf/test.toml:2: timeouts.total: must be a duration such as \"20ms\", \"5s\" or \"1h\""},
      {"[limits]\nbody = \"1B\"", "conf/test.toml:2: limits.body: must be 1KiB to 1GiB"},
      {"[ledger]\nmax_undrained = \"-1 USD\"",
       "conf/test.toml:2: ledger.max_undrained: must be an amount such as \"10 USD\", not "
       "negative, at most nine "
       "decimals"},
      {"[[edge.listener]]\naddress = \"::1:80\"",
       "conf/test.toml:2: edge.listener.address: must be \"ADDRESS:PORT\" or \"[v6 "
       "address]:PORT\""},
      {"[[edge.listener]]\naddress = \"1.2.3.4:80\"\nkey_file = \"k\"",
       "conf/test.toml:2: edge.listener.address: certificate_file and key_file go together"},
      {"edge = 3", "conf/test.toml:1: edge: must be a table"},
      {"allow_private = [1]", "conf/test.toml:1: allow_private: must be a list of strings"},
  };
  for (const auto& item : cases) EXPECT_EQ(problem_of(item.toml), item.message);
  EXPECT_TRUE(problem_of("a = [\n").starts_with("conf/test.toml:")) << problem_of("a = [\n");
}

TEST(Config, FilesInConfAreValid) {
  for (const char* name : {"/demo.toml", "/sluice.toml"}) {
    std::string message;
    EXPECT_TRUE(load_config(std::string(SLUICE_CONF_DIR) + name, message)) << message;
  }
}

TEST(Config, MissingFileSaysSo) {
  std::string message;
  EXPECT_FALSE(load_config("/nonexistent/sluice.toml", message));
  EXPECT_EQ(message, "/nonexistent/sluice.toml: cannot be read");
}

}  // namespace
}  // namespace sluice::app
