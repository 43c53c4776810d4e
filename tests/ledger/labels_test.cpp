// Usage rows by the labels that clients gave their requests.
#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

class LabelsTest : public LedgerTest {};

TEST_F(LabelsTest, RowsAreFoundByTheirLabels) {
  const Wallet wallet = add_customer("acme");
  DrainBatch batch{.node = 1, .epoch = 1, .rows = usage_rows(0, 1, 4, wallet.id)};
  batch.rows[0].tags = "id=r1,ticket=A-1";
  batch.rows[1].tags = "ticket=A-12";
  batch.rows[2].tags = "my_ticket=A-1";
  ASSERT_TRUE(ledger_->usage().drain(batch)) << ledger_->last_error();
  const auto found = [&](const std::string& tag) {
    UsageFilter filter;
    filter.tag = tag;
    return ledger_->usage().list(filter)->size();
  };
  EXPECT_EQ(found(""), 4U);
  EXPECT_EQ(found("ticket=A-1"), 1U);
  EXPECT_EQ(found("ticket"), 2U);
  EXPECT_EQ(found("id=r1"), 1U);
  EXPECT_EQ(found("nothing"), 0U);
}

}  // namespace
}  // namespace sluice::ledger
