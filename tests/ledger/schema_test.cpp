// How a ledger of an earlier version becomes one of this.
#include "schema.hpp"

#include "db.hpp"
#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

class SchemaTest : public LedgerTest {
 protected:
  /// A ledger as version 1 left it, with a model and a usage row.
  void make_version_1() {
    ledger_.reset();
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    std::string message;
    auto db = Db::open(file(), false, message);
    ASSERT_TRUE(db) << message;
    ASSERT_TRUE(migrate(**db, 1));
    EXPECT_EQ((*db)->integer("SELECT version FROM schema_version").value(), 1);
    const auto done = (*db)->script(R"(
      INSERT INTO model VALUES (1, 'old', '', '', '', 0, 0, 7, 8, 1300, 0, 100, 1, 1, 1, 5);
      INSERT INTO drain_batch (id, node, epoch, at_ns, row_count) VALUES (1, 1, 1, 0, 1);
      INSERT INTO usage VALUES (1000, 1, 1, 0, 1, 1, 1, 2, 4, 200, 0, 0, 0, 0, 0, 1, 1, 1, 3, 0, 1,
        1000, 1, 0, 10, 0, 0, 0, 5, 0, 10, 5, 100, 42, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 2, 0, 0, 0, 0,
        '', 'id', '', '');
    )");
    ASSERT_TRUE(done) << (*db)->last_error();
  }
};

TEST_F(SchemaTest, ALedgerOfVersion1IsBroughtUpWithWhatItHolds) {
  make_version_1();
  reopen();
  const auto model = ledger_->catalog().model("old");
  ASSERT_TRUE(model) << ledger_->last_error();
  EXPECT_EQ(model->between_tokens_timeout_ms, 8);
  EXPECT_EQ(model->first_token_timeout_ms, 0);
  EXPECT_EQ(model->total_timeout_ms, 0);
  const auto rows = ledger_->usage().list({});
  ASSERT_TRUE(rows) << ledger_->last_error();
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ(rows->front().row.charged, 42);
  EXPECT_EQ(rows->front().row.route_reason, 0);
  EXPECT_TRUE(ledger_->usage().attempts(0, 1'000'000).value().empty());
  RouteGroup group{.name = "any", .models = "old"};
  EXPECT_TRUE(ledger_->catalog().put(group)) << ledger_->last_error();
  EXPECT_EQ(ledger_->catalog().route_group("any").value().models, "old");
}

TEST_F(SchemaTest, OnceMoreChangesNothing) {
  make_version_1();
  reopen();
  reopen();
  EXPECT_TRUE(ledger_->catalog().model("old"));
}

TEST_F(SchemaTest, FailedAttemptsAreKeptWithTheirRowAndGoWithIt) {
  const Wallet wallet = add_customer("acme");
  DrainBatch batch{1, 1, usage_rows(0, 1, 2, wallet.id)};
  batch.rows[1].route_reason = 6;
  batch.rows[1].upstream_cost = 7;
  batch.rows[1].failed[0] = {4, 40, 429, 3, true, 12, 0};
  batch.rows[1].failed[1] = {5, 50, 0, 1, true, 800, 99};
  ASSERT_TRUE(ledger_->usage().drain(batch)) << ledger_->last_error();
  const auto rows = ledger_->usage().list({});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->front().row.route_reason, 6);
  EXPECT_EQ(rows->front().row.upstream_cost, 7);
  const auto attempts = ledger_->usage().attempts(rows->back().id, rows->front().id);
  ASSERT_TRUE(attempts) << ledger_->last_error();
  ASSERT_EQ(attempts->size(), 2U);
  EXPECT_EQ(attempts->at(0).first, rows->front().id);
  EXPECT_EQ(attempts->at(0).second.status, 429);
  EXPECT_EQ(attempts->at(1).second.cost, 99);
  EXPECT_TRUE(attempts->at(1).second.sent);
  EXPECT_EQ(ledger_->usage().remove_before(INT64_MAX, 10).value(), 2);
  EXPECT_TRUE(ledger_->usage().attempts(0, INT64_MAX).value().empty());
}

}  // namespace
}  // namespace sluice::ledger
