// How an older ledger becomes a newer one, and what the newer one has.
#include "ledger_fixture.hpp"

#include <sqlite3.h>

namespace sluice::ledger {
namespace {

class SchemaTest : public LedgerTest {
 protected:
  /// Runs SQL on the file, past the ledger.
  void run(const char* sql) {
    sqlite3* connection = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &connection), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(connection, sql, nullptr, nullptr, &message), SQLITE_OK)
        << (message != nullptr ? message : "");
    sqlite3_free(message);
    sqlite3_close(connection);
  }
  /// Takes away what version 2 added.
  void make_version_1() {
    ledger_.reset();
    run("ALTER TABLE provider DROP COLUMN quirks;"
        "ALTER TABLE provider DROP COLUMN error_classes;"
        "ALTER TABLE channel DROP COLUMN proxy_credentials;"
        "ALTER TABLE channel DROP COLUMN proxy_fingerprint;"
        "DROP TABLE notice;"
        "UPDATE schema_version SET version = 1;");
  }
};

TEST_F(SchemaTest, AVersion1LedgerKeepsWhatItHas) {
  Provider provider;
  provider.name = "old";
  provider.dialect = "openai";
  provider.base_url = "https://api.example.com/v1";
  provider.auth = "bearer";
  ASSERT_TRUE(ledger_->catalog().put(provider));
  Channel channel;
  channel.name = "old";
  channel.provider_id = provider.id;
  channel.proxy = "socks5://192.0.2.1:1080";
  ASSERT_TRUE(ledger_->catalog().put(channel));
  const Wallet wallet = add_customer("acme");
  ASSERT_TRUE(ledger_->money().credit(wallet.id, 5, House::funding_credit, ""));
  make_version_1();
  reopen();
  const auto back = ledger_->catalog().provider("old");
  ASSERT_TRUE(back) << ledger_->last_error();
  EXPECT_EQ(back->id, provider.id);
  EXPECT_EQ(back->base_url, provider.base_url);
  EXPECT_EQ(back->quirks, "");
  EXPECT_EQ(back->error_classes, "");
  const auto way = ledger_->catalog().channel("old");
  ASSERT_TRUE(way);
  EXPECT_EQ(way->proxy, channel.proxy);
  EXPECT_EQ(way->proxy_credentials, "");
  EXPECT_EQ(balance(wallet.id), 5);
  // And it takes what is new.
  provider.quirks = "no-stream-options";
  provider.error_classes = "1113 no_money\n";
  ASSERT_TRUE(ledger_->catalog().put(provider));
  EXPECT_EQ(ledger_->catalog().provider("old")->error_classes, "1113 no_money\n");
  ASSERT_TRUE(ledger_->notices().raise(NoticeKind::low_balance, wallet.id, 0, "{}"));
}

TEST_F(SchemaTest, AVersion1LedgerIsNotReadByThoseWhoOnlyRead) {
  make_version_1();
  std::string message;
  const auto opened = Ledger::open(file(), Access::read_only, clock_, message);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::unsupported);
}

TEST_F(SchemaTest, ANoticeIsRaisedOnceUntilItsConditionHasGone) {
  NoticeBook& notices = ledger_->notices();
  const auto raise = [&](NoticeKind kind, Id subject, std::int64_t period) {
    const auto id = notices.raise(kind, subject, period, R"({"type":"x"})");
    EXPECT_TRUE(id);
    return id.value_or(-1);
  };
  const Id first = raise(NoticeKind::low_balance, 1, 0);
  EXPECT_GT(first, 0);
  EXPECT_EQ(raise(NoticeKind::low_balance, 1, 0), 0);
  EXPECT_GT(raise(NoticeKind::low_balance, 2, 0), 0) << "another wallet";
  EXPECT_GT(raise(NoticeKind::key_budget_day, 1, 20'000), 0) << "another kind";
  EXPECT_EQ(raise(NoticeKind::key_budget_day, 1, 20'000), 0);
  EXPECT_GT(raise(NoticeKind::key_budget_day, 1, 20'001), 0) << "another day";
  ASSERT_TRUE(notices.clear(NoticeKind::low_balance, 1));
  EXPECT_GT(raise(NoticeKind::low_balance, 1, 0), first);
  EXPECT_EQ(raise(NoticeKind::low_balance, 1, 0), 0);
  ASSERT_EQ(notices.waiting(100)->size(), 5U);
  EXPECT_EQ(notices.waiting(2)->front().id, first);
  ASSERT_TRUE(notices.set_delivery(first, NoticeDelivery::done));
  reopen();
  EXPECT_EQ(ledger_->notices().waiting(100)->size(), 4U);
}

}  // namespace
}  // namespace sluice::ledger
