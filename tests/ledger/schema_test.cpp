// A ledger of an older version becomes one of this version, with everything that was in it.
#include <sqlite3.h>

#include <fstream>
#include <map>
#include <sstream>

#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

class SchemaTest : public LedgerTest {
 protected:
  using Columns = std::map<std::string, std::string>;  ///< table and column → type

  /// Puts a ledger of an earlier version where this test's own was.
  void become_version(int version) {
    ledger_.reset();
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file() + end);
    for (int step = 1; step <= version; ++step) {
      std::stringstream script;
      script << std::ifstream(SLUICE_VERSIONS "/version_" + std::to_string(step) + ".sql").rdbuf();
      run(script.str());
    }
  }
  void run(const std::string& sql) {
    sqlite3* connection = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &connection), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
        << (error != nullptr ? error : "");
    sqlite3_free(error);
    sqlite3_close(connection);
  }

  static Columns columns_of(const std::string& path) {
    Columns out;
    sqlite3* connection = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &connection), SQLITE_OK);
    const auto add = [](void* to, int, char** values, char**) {
      (*static_cast<Columns*>(to))[std::string(values[0]) + "." + values[1]] = values[2];
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(connection,
                           "SELECT t.name, c.name, c.type || c.\"notnull\" FROM sqlite_master t "
                           "JOIN pragma_table_info(t.name) c WHERE t.type = 'table'",
                           add, &out, nullptr),
              SQLITE_OK);
    sqlite3_close(connection);
    return out;
  }
};

TEST_F(SchemaTest, KeysOfVersion1AreOfTheFirstPepper) {
  become_version(1);
  reopen();
  const auto keys = ledger_->keys().list(0);
  ASSERT_TRUE(keys) << ledger_->last_error();
  ASSERT_EQ(keys->size(), 2U);
  for (const ApiKey& key : *keys) EXPECT_EQ(key.pepper, 1);
  EXPECT_EQ(ledger_->keys().live_with_pepper(1).value_or(-1), 1);
  EXPECT_EQ(ledger_->keys().live_with_pepper(2).value_or(-1), 0);
  EXPECT_EQ(balance(1), 5 * kNanosPerUsd);
}

TEST_F(SchemaTest, AMigratedLedgerTakesWhatANewOneTakes) {
  become_version(1);
  reopen();
  ApiKey key;
  key.wallet_id = 1;
  key.name = "new";
  key.digest = std::string(64, '7');
  key.last_chars = "4321";
  key.pepper = 2;
  ASSERT_TRUE(ledger_->keys().add(key)) << ledger_->last_error();
  reopen();
  const auto found = ledger_->keys().by_digest(key.digest);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "new");
  EXPECT_EQ(found->pepper, 2);
  EXPECT_EQ(ledger_->keys().live_with_pepper(2).value_or(-1), 1);
}

TEST_F(SchemaTest, ModelsOfVersion1HaveNoTimesOfTheirOwnAndMayBeGrouped) {
  become_version(1);
  run("INSERT INTO model VALUES (1, 'old', '', '', '', 0, 0, 7, 8, 1300, 0, 100, 1, 1, 1, 5)");
  reopen();
  const auto model = ledger_->catalog().model("old");
  ASSERT_TRUE(model) << ledger_->last_error();
  EXPECT_EQ(model->between_tokens_timeout_ms, 8);
  EXPECT_EQ(model->first_token_timeout_ms, 0);
  EXPECT_EQ(model->total_timeout_ms, 0);
  RouteGroup group{.name = "any", .models = "old"};
  ASSERT_TRUE(ledger_->catalog().put(group)) << ledger_->last_error();
  EXPECT_EQ(ledger_->catalog().snapshot().value().route_groups.size(), 1U);
}

TEST_F(SchemaTest, ProvidersAndChannelsOfVersion1DepartFromNothing) {
  become_version(1);
  run("INSERT INTO provider VALUES (70, 'old', 'openai', 'https://a.example', 'bearer', '', 1);"
      "INSERT INTO channel VALUES (70, 'old', 70, 0, 1, 1000, 'socks5://a.example:1', 0, 0, 0, 1)");
  reopen();
  const auto provider = ledger_->catalog().provider("old");
  ASSERT_TRUE(provider) << ledger_->last_error();
  EXPECT_EQ(provider->quirks + provider->error_classes, "");
  const auto channel = ledger_->catalog().channel("old");
  ASSERT_TRUE(channel);
  EXPECT_EQ(channel->proxy, "socks5://a.example:1");
  EXPECT_EQ(channel->proxy_credentials + channel->proxy_fingerprint, "");
}

TEST_F(SchemaTest, OfProvidersOfVersion2NoListIsKnown) {
  become_version(2);
  run("INSERT INTO provider (id, name, dialect, base_url, auth, extra_headers, enabled) VALUES "
      "(70, 'old', 'openai', 'https://a.example', 'bearer', '', 1);"
      "INSERT INTO notice (kind, subject_id, period, at_ns, body) VALUES (7, 4, 0, 5, '{}')");
  reopen();
  EXPECT_TRUE(ledger_->offers().all()->empty());
  EXPECT_EQ(ledger_->offers().of(70)->at_ns, 0);
  ASSERT_TRUE(ledger_->offers().put(70, true, {"m"})) << ledger_->last_error();
  EXPECT_EQ(ledger_->offers().all()->size(), 1U);
  EXPECT_EQ(ledger_->notices().waiting(10)->size(), 1U) << "what was there is there";
  EXPECT_EQ(balance(1), 5 * kNanosPerUsd);
}

TEST_F(SchemaTest, WhatDaysOfVersion3CostIsWorkedOutFromTheirRows) {
  become_version(3);
  run("INSERT INTO usage (node, epoch, slot, seq, hold_seq, kind, end_kind, phase, status, error, "
      "flags, format_in, format_out, stream, wallet_id, key_id, model_id, channel_id, "
      "channel_key_id, price_version, multiplier, attempts, client_retry, input, cache_read, "
      "cache_write_short, cache_write_long, output, reasoning, input_estimate, counted_output, "
      "held, charged, excess, loss, started_ns, queue_ns, connect_ns, first_byte_ns, "
      "first_token_ns, total_ns, own_ns, bytes_in, bytes_out, key_day, key_month, wallet_day, "
      "wallet_month, calls, request_id, client_address, tags, upstream_cost) "
      "SELECT 1, 1, 0, column1, column1, 1, 0, 0, 200, 0, 0, 0, 0, 0, 1, 1, 1, column2, 1, "
      "1, 1000, 1, 0, 3, "
      "0, 0, 0, 4, 0, 0, 0, 10, 10, 0, 0, 1800000000000000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "
      "0, '', '', '', '', column3 "
      "FROM (VALUES (1, 1, 7), (2, 1, 5), (3, 2, 9))");
  run("INSERT INTO usage_day VALUES (20833, 1, 1, 1, 1, 2, 6, 8, 20), (20833, 1, 1, 2, 1, 1, 3, 4, "
      "10);"
      "INSERT INTO usage_attempt SELECT id, 0, 3, 1, 500, 1, 1, 5, 4 FROM usage WHERE seq < 3;"
      "INSERT INTO usage_attempt SELECT id, 1, 2, 1, 500, 1, 1, 5, 100 FROM usage WHERE seq = 1");
  reopen();
  const auto stats = ledger_->usage().stats(StatsBy::day, {});
  ASSERT_TRUE(stats) << ledger_->last_error();
  ASSERT_EQ(stats->size(), 1U);
  EXPECT_EQ(stats->front().upstream_cost, 7 + 5 + 9 + 4 + 4 + 100);
  UsageFilter filter;
  const Nanos costs[] = {7 + 5, 9 + 100, 4 + 4};
  for (const Id channel : {1, 2, 3}) {
    filter.channel_id = channel;
    const auto of_one = ledger_->usage().stats(StatsBy::channel, filter);
    ASSERT_EQ(of_one->size(), 1U) << channel;
    EXPECT_EQ(of_one->front().upstream_cost, costs[channel - 1]) << channel;
    EXPECT_EQ(of_one->front().requests, channel == 1 ? 2 : channel == 2 ? 1 : 0);
  }
}

TEST_F(SchemaTest, AnEarlierVersionThatOnlyReadsIsRefused) {
  for (const int version : {1, 2, 3}) {
    become_version(version);
    std::string message;
    const auto opened = Ledger::open(file(), Access::read_only, clock_, message);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::unsupported);
  }
}

// Whatever a later version adds: the tables are those of a new ledger.
TEST_F(SchemaTest, AMigratedLedgerHasTheTablesOfANewOne) {
  ledger_.reset();
  const Columns fresh = columns_of(file());
  EXPECT_GT(fresh.size(), 200U);
  for (const int version : {1, 2, 3}) {
    become_version(version);
    reopen();
    EXPECT_TRUE(ledger_->epochs().open_next(1, {})) << ledger_->last_error();
    EXPECT_EQ(columns_of(file()), fresh);
  }
}

// M28: a program does not write a ledger that a newer one has changed.
TEST_F(SchemaTest, ANewerOneIsRefused) {
  ledger_.reset();
  run("UPDATE schema_version SET version = 1000");
  for (const Access access : {Access::read_write, Access::read_only}) {
    std::string message;
    const auto opened = Ledger::open(file(), access, clock_, message);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::unsupported);
    EXPECT_NE(message.find("schema"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace sluice::ledger
