// Spans and notices: what is said, and when.
#include <simdjson.h>

#include "node.hpp"
#include "notice_text.hpp"
#include "notice_watch.hpp"
#include "sluice/dialect/format.hpp"
#include "span_text.hpp"

namespace sluice::reconcile {
namespace {

SpanFacts example() {
  SpanFacts facts;
  for (std::size_t i = 0; i < facts.record.request_id.size(); ++i)
    facts.record.request_id[i] = static_cast<std::uint8_t>(0x10 + i);
  facts.record.started_at_ns = 1'795'824'000 * kSecond;
  facts.record.total_ns = 1'500'000'000;
  facts.record.first_token_ns = 250'000'000;
  facts.record.http_status = 200;
  facts.record.stream = 1;
  facts.record.counts = {.input = 600, .cache_read = 400, .output = 50, .reasoning = 7};
  facts.record.charged = 1234;
  facts.record.attempts = 2;
  facts.model = "deepseek-flash";
  facts.channel = "deepseek";
  facts.provider = "deepseek-claude";
  facts.key = "staging";
  facts.customer = "a \"quoted\" name\xff";
  return facts;
}

/// The attributes of the only span: key → value as text.
std::map<std::string, std::string> attributes_of(simdjson::dom::element span) {
  std::map<std::string, std::string> out;
  for (simdjson::dom::element each : span["attributes"]) {
    const std::string key{std::string_view(each["key"])};
    for (const auto field : simdjson::dom::object(each["value"])) {
      if (field.key == "boolValue") {
        out[key] = bool(field.value) ? "true" : "false";
      } else {
        out[key] = std::string(std::string_view(field.value));
      }
    }
  }
  return out;
}

TEST(Spans, HaveTheNamesOfTheConventions) {
  const SpanFacts facts = example();
  const std::string text = spans_json({&facts, 1}, 7);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  ASSERT_EQ(parser.parse(text).get(root), simdjson::SUCCESS) << text;
  const simdjson::dom::element resource = root["resourceSpans"].at(0);
  EXPECT_EQ(std::string_view(resource["resource"]["attributes"].at(0)["value"]["stringValue"]),
            "sluice");
  const simdjson::dom::element span = resource["scopeSpans"].at(0)["spans"].at(0);
  EXPECT_EQ(std::string_view(span["traceId"]), "101112131415161718191a1b1c1d1e1f");
  EXPECT_EQ(std::string_view(span["spanId"]), "18191a1b1c1d1e1f");
  EXPECT_EQ(std::string_view(span["name"]), "chat deepseek-flash");
  EXPECT_EQ(std::int64_t(span["kind"]), 3);
  EXPECT_EQ(std::string_view(span["startTimeUnixNano"]), "1795824000000000000");
  EXPECT_EQ(std::string_view(span["endTimeUnixNano"]), "1795824001500000000");
  EXPECT_EQ(span["status"].error(), simdjson::NO_SUCH_FIELD);
  const auto attributes = attributes_of(span);
  const std::map<std::string, std::string> expected{
      {"gen_ai.operation.name", "chat"},
      {"gen_ai.provider.name", "deepseek"},
      {"gen_ai.request.model", "deepseek-flash"},
      {"gen_ai.request.stream", "true"},
      {"gen_ai.usage.input_tokens", "1000"},
      {"gen_ai.usage.output_tokens", "50"},
      {"gen_ai.usage.cache_read.input_tokens", "400"},
      {"gen_ai.usage.cache_creation.input_tokens", "0"},
      {"gen_ai.usage.reasoning.output_tokens", "7"},
      {"http.response.status_code", "200"},
      {"sluice.channel", "deepseek"},
      {"sluice.key", "staging"},
      {"sluice.customer", "a \"quoted\" name\xEF\xBF\xBD"},
      {"sluice.attempts", "2"},
      {"sluice.charged_nanos", "1234"},
      {"sluice.first_token_ns", "250000000"},
  };
  EXPECT_EQ(attributes, expected);
}

TEST(Spans, OfFailedRequestsSayWhy) {
  SpanFacts facts = example();
  facts.record.error = static_cast<std::uint32_t>(Errc::timed_out);
  facts.record.http_status = 504;
  facts.record.format_in = static_cast<std::uint8_t>(dialect::Format::gemini);
  SpanFacts second = example();
  second.record.http_status = 429;
  const SpanFacts both[] = {facts, second};
  const std::string text = spans_json(both, 1);
  simdjson::dom::parser parser;
  const simdjson::dom::element spans =
      parser.parse(text)["resourceSpans"].at(0)["scopeSpans"].at(0)["spans"];
  EXPECT_EQ(std::string_view(spans.at(0)["name"]), "generate_content deepseek-flash");
  EXPECT_EQ(attributes_of(spans.at(0))["error.type"], "timed_out");
  EXPECT_EQ(std::int64_t(spans.at(0)["status"]["code"]), 2);
  EXPECT_EQ(attributes_of(spans.at(1))["error.type"], "429");
}

TEST(Spans, SayWhatWasAskedFor) {
  using state::WorkKind;
  for (const auto& [work, name] :
       {std::pair{WorkKind::chat, "chat"}, std::pair{WorkKind::text_completion, "text_completion"},
        std::pair{WorkKind::embeddings, "embeddings"},
        std::pair{WorkKind::generate_content, "generate_content"},
        std::pair{WorkKind{9}, "chat"}}) {
    SpanFacts facts = example();
    facts.record.work = work;
    simdjson::dom::parser parser;
    const std::string text = spans_json({&facts, 1}, 1);
    const simdjson::dom::element span =
        parser.parse(text)["resourceSpans"].at(0)["scopeSpans"].at(0)["spans"].at(0);
    EXPECT_EQ(std::string_view(span["name"]), std::string(name) + " deepseek-flash");
    EXPECT_EQ(attributes_of(span)["gen_ai.operation.name"], name);
  }
}

TEST(Spans, NameProvidersAsTheConventionsDo) {
  EXPECT_EQ(provider_name("gemini"), "gcp.gemini");
  EXPECT_EQ(provider_name("xai"), "x_ai");
  EXPECT_EQ(provider_name("mistral"), "mistral_ai");
  EXPECT_EQ(provider_name("kimi-cn-claude"), "moonshot_ai");
  EXPECT_EQ(provider_name("anthropic"), "anthropic");
  EXPECT_EQ(provider_name("my-own"), "my-own");
}

TEST(NoticeText, IsTheBodyALineAMember) {
  ledger::Notice notice;
  notice.id = 5;
  notice.kind = ledger::NoticeKind::low_balance;
  notice.at_ns = 1'795'824'000 * kSecond;
  notice.body =
      low_balance_body(notice.at_ns, {"acme: \"one\", two", kNanosPerUsd / 2, 5 * kNanosPerUsd});
  simdjson::dom::parser parser;
  EXPECT_EQ(std::string_view(parser.parse(notice.body)["customer"]), "acme: \"one\", two");
  const std::string mail = mail_text(notice, message_id(3, notice.id), "sluice@example.com",
                                     {"a@b.example", "c@d.example"});
  EXPECT_NE(mail.find("Date: Sat, 28 Nov 2026 00:00:00 +0000\r\n"), std::string::npos) << mail;
  EXPECT_NE(mail.find("To: a@b.example, c@d.example\r\n"), std::string::npos);
  EXPECT_NE(mail.find("Message-ID: <sluice-3-5@example.com>\r\n"), std::string::npos);
  EXPECT_NE(mail.find("Subject: Sluice: wallet.low_balance\r\n"), std::string::npos);
  EXPECT_NE(mail.find("\r\n\r\ntype: wallet.low_balance\r\n"), std::string::npos);
  EXPECT_NE(mail.find("customer: acme: \"one\", two\r\n"), std::string::npos);
  EXPECT_NE(mail.find("balance_usd: 0.5"), std::string::npos);
}

class NoticeWatchTest : public testing::Test {
 protected:
  NoticeWatchTest() {
    std::string message;
    auto opened = ledger::Ledger::open(":memory:", ledger::Access::read_write, clock_, message);
    EXPECT_TRUE(opened) << message;
    ledger_ = std::move(*opened);
    ledger::Customer customer;
    customer.name = "acme";
    EXPECT_TRUE(ledger_->customers().add(customer, wallet_));
    key_.wallet_id = wallet_.id;
    key_.name = "staging";
    key_.digest = std::string(64, 'a');
    EXPECT_TRUE(ledger_->keys().add(key_));
    watch_.emplace(*ledger_, clock_, 100);
  }
  void credit(Nanos amount) {
    ASSERT_TRUE(ledger_->money().credit(wallet_.id, amount, ledger::House::funding_credit, ""));
  }
  /// A request of this day that was drained; the watch is told.
  void charge(Nanos amount, std::uint32_t day = 20'000) {
    ledger::UsageRow row;
    row.seq = static_cast<std::uint64_t>(++seq_);
    row.wallet_id = wallet_.id;
    row.key_id = key_.id;
    row.price_version = 1;
    row.charged = row.held = amount;
    row.key_day = row.wallet_day = day;
    row.key_month = row.wallet_month = day / 30;
    ASSERT_TRUE(ledger_->usage().drain({1, 1, {row}})) << ledger_->last_error();
    state::OutboxRow drained;
    drained.record.wallet_id = static_cast<std::uint64_t>(wallet_.id);
    drained.record.key_id = static_cast<std::uint64_t>(key_.id);
    drained.record.charged = amount;
    drained.record.key_windows = drained.record.wallet_windows = {day, day / 30};
    watch_->note({&drained, 1});
  }
  void refuse(state::Limit limit) {
    state::RefusedRecord record;
    record.key_id = static_cast<std::uint64_t>(key_.id);
    record.limit = static_cast<std::uint8_t>(limit);
    watch_->note(record);
  }
  /// Types and windows of the notices that the watch raises now.
  std::string raised() {
    std::string out;
    const auto stepped = watch_->step();
    EXPECT_TRUE(stepped) << ledger_->last_error();
    for (const ledger::Notice& notice : *ledger_->notices().waiting(100)) {
      out += std::string(notice_type(notice.kind)) + " ";
      EXPECT_TRUE(ledger_->notices().set_delivery(notice.id, ledger::NoticeDelivery::done));
    }
    EXPECT_EQ(*stepped, !out.empty());
    return out;
  }

  ManualClock clock_;
  std::unique_ptr<ledger::Ledger> ledger_;
  ledger::Wallet wallet_;
  ledger::ApiKey key_;
  std::optional<NoticeWatch> watch_;
  std::int64_t seq_ = 0;
};

TEST_F(NoticeWatchTest, ALowBalanceIsToldOnceUntilItWasFilled) {
  credit(1000);
  charge(800);
  EXPECT_EQ(raised(), "");
  charge(101);
  EXPECT_EQ(raised(), "wallet.low_balance ");
  charge(1);
  EXPECT_EQ(raised(), "") << "it is low already";
  credit(5);  // 103: above the threshold, and not by a tenth
  charge(1);
  EXPECT_EQ(raised(), "");
  charge(10);
  EXPECT_EQ(raised(), "") << "it was not filled";
  credit(1000);
  charge(1);
  EXPECT_EQ(raised(), "");
  charge(1000);
  EXPECT_EQ(raised(), "wallet.low_balance ");
}

TEST_F(NoticeWatchTest, ABudgetIsToldOnceAWindow) {
  credit(1'000'000);
  key_.policy.budget_day = 50;
  ASSERT_TRUE(ledger_->keys().update(key_));
  charge(49);
  EXPECT_EQ(raised(), "");
  charge(1);
  EXPECT_EQ(raised(), "key.budget_reached ");
  charge(1);
  EXPECT_EQ(raised(), "");
  charge(10, 20'001);
  EXPECT_EQ(raised(), "") << "a new day";
  charge(40, 20'001);
  EXPECT_EQ(raised(), "key.budget_reached ");
}

// A rest that pays no request any more: what is spent never gets to the budget.
TEST_F(NoticeWatchTest, ABudgetWhoseRestPaysNothingIsReached) {
  credit(1'000'000);
  key_.policy.budget_total = 100;
  ASSERT_TRUE(ledger_->keys().update(key_));
  wallet_.budget_month = 1'000;
  ASSERT_TRUE(ledger_->customers().update(wallet_));
  charge(95);
  EXPECT_EQ(raised(), "");
  refuse(state::Limit::key_total);
  EXPECT_EQ(raised(), "key.budget_reached ");
  refuse(state::Limit::key_total);
  charge(1);
  EXPECT_EQ(raised(), "");
  refuse(state::Limit::wallet_month);
  EXPECT_EQ(raised(), "wallet.budget_reached ");
  refuse(state::Limit::key_requests);
  EXPECT_EQ(raised(), "") << "that was no money";
}

TEST_F(NoticeWatchTest, AChannelIsDownAndUpInTurn) {
  EXPECT_TRUE(watch_->tell_channel(true, 4, "deepseek", "five errors").value_or(false));
  EXPECT_FALSE(watch_->tell_channel(true, 4, "deepseek", "six errors").value_or(true));
  EXPECT_TRUE(watch_->tell_channel(false, 4, "deepseek", "").value_or(false));
  EXPECT_TRUE(watch_->tell_channel(true, 4, "deepseek", "again").value_or(false));
  EXPECT_EQ(ledger_->notices().waiting(10)->size(), 3U);
}

}  // namespace
}  // namespace sluice::reconcile
