// What was told to people, and what version 2 added for providers.
#include "ledger_fixture.hpp"

namespace sluice::ledger {
namespace {

TEST_F(LedgerTest, ANoticeIsRaisedOnceUntilItsConditionHasGone) {
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

TEST_F(LedgerTest, TheLastNoticeOfEachSubjectSaysWhetherItStands) {
  NoticeBook& notices = ledger_->notices();
  for (const Id subject : {4, 5, 4}) {
    ASSERT_TRUE(notices.clear(NoticeKind::channel_down, subject));
    clock_.advance(kSecond);
    ASSERT_TRUE(notices.raise(NoticeKind::channel_down, subject, 0, "{}"));
  }
  ASSERT_TRUE(notices.clear(NoticeKind::channel_down, 5));
  ASSERT_TRUE(notices.raise(NoticeKind::channel_up, 5, 0, "{}"));
  reopen();
  const auto latest = ledger_->notices().latest(NoticeKind::channel_down);
  ASSERT_TRUE(latest);
  ASSERT_EQ(latest->size(), 2U);
  for (const LatestNotice& notice : *latest) {
    EXPECT_EQ(notice.stands, notice.subject_id == 4);
    EXPECT_EQ(notice.at_ns, clock_.realtime_ns() - (notice.subject_id == 4 ? 0 : kSecond));
  }
}

TEST_F(LedgerTest, QuirksErrorClassesAndProxiesComeBackAsTheyWere) {
  Provider provider;
  provider.name = "glm";
  provider.dialect = "openai";
  provider.base_url = "https://api.example.com/v1";
  provider.auth = "bearer";
  provider.quirks = "no-stream-options";
  provider.error_classes = "1113 no_money\n";
  ASSERT_TRUE(ledger_->catalog().put(provider)) << ledger_->last_error();
  Channel channel;
  channel.name = "glm";
  channel.provider_id = provider.id;
  channel.proxy = "socks5://192.0.2.1:1080";
  channel.proxy_credentials = "sealed";
  channel.proxy_fingerprint = "f";
  ASSERT_TRUE(ledger_->catalog().put(channel)) << ledger_->last_error();
  const auto back = ledger_->catalog().provider("glm");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->quirks, provider.quirks);
  EXPECT_EQ(back->error_classes, provider.error_classes);
  const auto way = ledger_->catalog().channel("glm");
  ASSERT_TRUE(way);
  EXPECT_EQ(way->proxy_credentials, "sealed");
  channel.proxy_credentials = channel.proxy_fingerprint = "";
  ASSERT_TRUE(ledger_->catalog().put(channel)) << ledger_->last_error();
  EXPECT_EQ(ledger_->catalog().channel("glm")->proxy_credentials, "");
}

}  // namespace
}  // namespace sluice::ledger
