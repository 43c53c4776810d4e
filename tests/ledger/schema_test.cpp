// A ledger of an older version becomes one of this version, with everything that was in it.
#include <sqlite3.h>

#include <fstream>
#include <sstream>

#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

class SchemaTest : public LedgerTest {
 protected:
  /// Puts a ledger of version 1 where this test's own was.
  void become_version_1() {
    ledger_.reset();
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file() + end);
    std::stringstream script;
    script << std::ifstream(SLUICE_VERSION_1).rdbuf();
    run(script.str());
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
};

TEST_F(SchemaTest, KeysOfVersion1AreOfTheFirstPepper) {
  become_version_1();
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
  become_version_1();
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

TEST_F(SchemaTest, AVersion1ThatOnlyReadsIsRefused) {
  become_version_1();
  std::string message;
  const auto opened = Ledger::open(file(), Access::read_only, clock_, message);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::unsupported);
}

}  // namespace
}  // namespace sluice::ledger
