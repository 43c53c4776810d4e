// M28: ledgers of older programs become today's, whole, and those of newer ones are left alone.
#include <sqlite3.h>

#include <fstream>
#include <map>
#include <sstream>

#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

class MigrationTest : public LedgerTest {
 protected:
  using Columns = std::map<std::string, std::string>;  ///< table and column → type

  void run_sql(const std::string& path, const std::string& text) {
    sqlite3* connection = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &connection), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(connection, text.c_str(), nullptr, nullptr, &message), SQLITE_OK)
        << message;
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

TEST_F(MigrationTest, LedgerOfVersion1BecomesTodays) {
  std::ostringstream script;
  script << std::ifstream(SLUICE_SOURCE "/version_1.sql").rdbuf();
  const std::string fresh = file();
  ledger_.reset();
  const std::string old = (directory_ / "old.db").string();
  run_sql(old, script.str() + "UPDATE schema_version SET version = 1;");
  std::string message;
  EXPECT_EQ(Ledger::open(old, Access::read_only, clock_, message).error().code, Errc::unsupported);
  auto opened = Ledger::open(old, Access::read_write, clock_, message);
  ASSERT_TRUE(opened) << message;
  EXPECT_EQ((*opened)->customers().wallet(1)->overdraft_limit, 7000);
  EXPECT_TRUE((*opened)->epochs().open_next(1, {})) << (*opened)->last_error();
  opened->reset();
  const Columns columns = columns_of(old);
  EXPECT_GT(columns.size(), 200U);
  EXPECT_EQ(columns, columns_of(fresh));
}

// A program does not write a ledger that a newer one has changed.
TEST_F(MigrationTest, NewerSchemaIsRefused) {
  ledger_.reset();
  run_sql(file(), "UPDATE schema_version SET version = 1000");
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
