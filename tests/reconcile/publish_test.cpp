// Row 10, keys, wallets, the catalog and addresses.
#include <thread>

#include "catalog_publisher.hpp"
#include "format_names.hpp"
#include "node.hpp"
#include "publisher.hpp"
#include "sluice/dialect/format.hpp"
#include "sluice/state/addresses.hpp"
#include "sluice/state/catalog.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::reconcile {
namespace {

class PublishTest : public Node {
 protected:
  PublishTest() {
    options_.lookup = [this](const std::string& host) -> Result<std::vector<IpAddress>> {
      const auto found = names_.find(host);
      if (found == names_.end()) return fail(Errc::not_found);
      return found->second;
    };
  }
  std::shared_ptr<const state::Catalog> catalog() {
    const auto pointer = environment().catalog_pointer();
    const std::string path = environment().epoch_directory() + "/" + pointer->catalog_file.data();
    auto opened = state::Catalog::open(path, pointer->catalog_hash);
    EXPECT_TRUE(opened);
    return opened ? *opened : nullptr;
  }
  std::shared_ptr<const state::AddressBook> addresses() {
    const auto pointer = environment().catalog_pointer();
    const std::string path = environment().epoch_directory() + "/" + pointer->addresses_file.data();
    auto opened = state::AddressBook::open(path, pointer->addresses_hash);
    EXPECT_TRUE(opened);
    return opened ? *opened : nullptr;
  }
  void add_model(const std::string& name,
                 const std::string& base_url = "https://api.example.com/v1") {
    ledger::Provider provider;
    provider.name = "p-" + name;
    provider.dialect = "claude";
    provider.base_url = base_url;
    provider.auth = "x-api-key";
    provider.extra_headers = "anthropic-version: 2023-06-01\r\n";
    ASSERT_TRUE(books_->catalog().put(provider));
    ledger::ProviderKey key;
    key.provider_id = provider.id;
    key.name = "k";
    key.sealed = "c2VhbGVk";
    ASSERT_TRUE(books_->catalog().put(key));
    ledger::Channel channel;
    channel.name = "c-" + name;
    channel.provider_id = provider.id;
    channel.priority = 3;
    ASSERT_TRUE(books_->catalog().put(channel));
    ledger::Model model;
    model.name = name;
    model.aliases = name + "-latest";
    model.formats = "claude,openai";
    model.input_margin = 1700;
    ASSERT_TRUE(books_->catalog().put(model));
    ASSERT_TRUE(
        books_->catalog().put_routes(model.id, {{model.id, channel.id, "up-" + name, -1, -1, 0}}));
    model_id_ = model.id;
  }
  std::uint64_t add_price(ledger::Id model, Nanos rate, TimeNs from_ns) {
    ledger::Price price;
    price.model_id = model;
    price.row.effective_from_ns = from_ns;
    price::Rates& rates = price.row.base;
    rates.input = rates.cache_read = rates.cache_write_short = rates.cache_write_long =
        rates.output = rate;
    EXPECT_TRUE(books_->catalog().add(price)) << books_->last_error();
    return price.row.version;
  }
  /// Steps until the resolver's threads have answered and the answer is published.
  bool await_address(const std::string& host, std::uint16_t port) {
    for (int i = 0; i < 1000; ++i) {
      clock_.advance(60 * kMillisecond);
      EXPECT_TRUE(reconciler_->step());
      if (!addresses()->find(host, port).empty()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }
  std::map<std::string, std::vector<IpAddress>> names_{
      {"api.example.com", {*parse_ip("93.184.216.34")}}};
  ledger::Id model_id_ = 0;
};

TEST(FormatNames, AreThoseOfTheDialects) {
  for (std::uint8_t i = 0; i < kFormatNames.size(); ++i) {
    EXPECT_EQ(kFormatNames[i], dialect::to_string(static_cast<dialect::Format>(i)));
  }
}

TEST_F(PublishTest, CreditIsAppliedOnceHoweverOftenItIsPublished) {
  start();
  const Account account = add_account("acme", 7 * kNanosPerUsd);
  settle_down();
  EXPECT_EQ(live(account).available, 7 * kNanosPerUsd);
  // The queue row was not deleted (a crash between shared state and ledger): published again,
  // nothing happens.
  state::DeltaVerb again[] = {{static_cast<std::uint64_t>(account.wallet.id), 1, 7 * kNanosPerUsd}};
  EXPECT_EQ(state::Writer(environment()).publish_deltas(again).committed, 1U);
  EXPECT_EQ(live(account).available, 7 * kNanosPerUsd);
  ASSERT_TRUE(books_->money().debit(account.wallet.id, 9 * kNanosPerUsd,
                                    ledger::House::funding_credit, "back"));
  settle_down();
  EXPECT_EQ(live(account).available, -2 * kNanosPerUsd);
  EXPECT_EQ(live(account).applied_no, 2U);
}

TEST_F(PublishTest, NumbersMissingInTheQueueComeFromTheEntries) {
  start();
  const Account account = add_account("acme", kNanosPerUsd);
  settle_down();
  ASSERT_TRUE(books_->money().credit(account.wallet.id, 2 * kNanosPerUsd,
                                     ledger::House::funding_credit, ""));
  ASSERT_TRUE(
      books_->money().debit(account.wallet.id, kNanosPerUsd, ledger::House::funding_credit, ""));
  ASSERT_TRUE(books_->money().published(account.wallet.id,
                                        3));  // as if they had been published and were lost
  ASSERT_TRUE(books_->money().credit(account.wallet.id, 5 * kNanosPerUsd,
                                     ledger::House::funding_credit, ""));
  settle_down();
  EXPECT_EQ(live(account).applied_no, 4U);
  EXPECT_EQ(live(account).available, balance(account));
}

TEST_F(PublishTest, KeyPolicyAndLimitsArriveAndChange) {
  start();
  Account account = add_account("acme", kNanosPerUsd);
  account.key.policy.budget_day = 5;
  account.key.policy.requests_per_minute = 30;
  account.key.policy.clamp = true;
  account.key.policy.zone = "Europe/Berlin";
  account.key.policy.cidr_allow = "10.0.0.0/8";
  ASSERT_TRUE(books_->write([&]() -> Result<> {
    for (const auto& [kind, text] : {std::pair(ledger::TextKind::zone, "Europe/Berlin"),
                                     std::pair(ledger::TextKind::cidr_set, "10.0.0.0/8!")}) {
      if (auto number = books_->catalog().number_of(kind, text); !number)
        return std::unexpected(number.error());
    }
    return books_->keys().update(account.key);
  }));
  settle_down();
  Digest256 digest{};
  digest[0] = 0x10;
  auto key = environment().find_key(digest);
  ASSERT_TRUE(key && *key);
  EXPECT_EQ((*key)->flags, state::kKeyHasBudget | state::kKeyHasRateLimit);
  EXPECT_EQ((*key)->on_low_balance, state::OnLowBalance::clamp);
  const auto counters = environment().find_counters(state::CounterKind::key,
                                                    static_cast<std::uint64_t>(account.wallet.id),
                                                    static_cast<std::uint64_t>(account.key.id));
  EXPECT_EQ((*counters)->limits.budget_day, 5);
  EXPECT_EQ((*counters)->limits.budget_month, state::kNoBudget);
  EXPECT_EQ((*counters)->limits.requests_per_minute, 30U);
  // The sets that it names are in the catalog by then.
  const auto file = catalog();
  EXPECT_TRUE(file->address_allowed((*key)->cidr_set, parse_ip("10.1.2.3")->bytes));
  EXPECT_FALSE(file->address_allowed((*key)->cidr_set, parse_ip("11.1.2.3")->bytes));
  EXPECT_NE((*key)->zone, 0U);
  account.key.enabled = false;
  ASSERT_TRUE(books_->keys().update(account.key));
  settle_down();
  key = environment().find_key(digest);
  EXPECT_EQ((*key)->state, state::KeyState::disabled);
}

TEST_F(PublishTest, ARotatedKeyIsGoodUnderBothSecretsUntilTheOverlapIsOver) {
  Account account = add_account("acme", kNanosPerUsd);
  start();
  const auto find = [&](unsigned first) {
    Digest256 digest{};
    digest[0] = static_cast<std::uint8_t>(first);
    return *environment().find_key(digest);
  };
  settle_down();
  ASSERT_TRUE(find(0x10));
  account.key.digest = digest_text(2);
  const TimeNs until_ns = clock_.realtime_ns() + 3600 * kSecond;
  ASSERT_TRUE(books_->keys().rotate(account.key, until_ns));
  settle_down();
  ASSERT_TRUE(find(0x20));
  EXPECT_EQ(find(0x20)->expires_at_ns, 0);
  EXPECT_EQ(find(0x10)->expires_at_ns, until_ns);
  EXPECT_EQ(find(0x10)->key_id, find(0x20)->key_id);

  account.key.enabled = false;
  ASSERT_TRUE(books_->keys().update(account.key));
  settle_down();
  EXPECT_EQ(find(0x10)->state, state::KeyState::disabled) << "policy is one for both";

  reconciler_.reset();
  std::filesystem::remove_all(state_.path());
  std::filesystem::create_directory(state_.path());
  start();  // a new epoch, from the ledger alone
  EXPECT_EQ(find(0x10)->expires_at_ns, until_ns);
  ASSERT_TRUE(find(0x20));

  clock_.advance(3601 * kSecond);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(reconciler_->step());
    clock_.advance(60 * kSecond);
  }
  EXPECT_FALSE(find(0x10));
  ASSERT_TRUE(find(0x20));
  EXPECT_TRUE(books_->keys().former_of(0)->empty());

  account.key.digest = digest_text(3);
  ASSERT_TRUE(books_->keys().rotate(account.key, clock_.realtime_ns()));
  settle_down();
  EXPECT_FALSE(find(0x20)) << "without an overlap it ends at once";
  ASSERT_TRUE(find(0x30));
}

TEST_F(PublishTest, OldIdempotencyKeysAreForgottenAndYoungOnesAreNot) {
  const Account account = add_account("acme", kNanosPerUsd);
  start();
  settle_down();
  PlayedShard worker = shard();
  for (std::uint8_t i = 1; i <= 100; ++i) {
    const state::Outcome reserved = worker.reserve(account.wallet.id, account.key.id, 10, 0, {i});
    ASSERT_EQ(reserved.verdict, state::Verdict::done);
    worker.settle(reserved.hold, 5, account.wallet.id, account.key.id);
  }
  const auto left = [&] {
    return state::scan_idem(environment(), std::nullopt, 0, state::kIdemLifetimeNs, 1, 1)->rows;
  };
  const auto seconds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      clock_.advance(kSecond);
      ASSERT_TRUE(reconciler_->step());
    }
  };
  clock_.advance(std::max<TimeNs>(PlayedShard::kOpenedAtNs - clock_.realtime_ns(), 0));
  seconds(5);
  EXPECT_EQ(left(), 100U);
  clock_.advance(state::kIdemLifetimeNs);
  seconds(5);
  EXPECT_EQ(left(), 0U);
}

TEST_F(PublishTest, ManyKeysArriveInManySteps) {
  start();
  const Account account = add_account("acme", 0);
  ASSERT_TRUE(books_->write([&]() -> Result<> {
    for (unsigned i = 0; i < 500; ++i) {
      ledger::ApiKey key;
      key.wallet_id = account.wallet.id;
      key.name = "k" + std::to_string(i);
      key.digest = digest_text(1000 + i);
      if (auto added = books_->keys().add(key); !added) return added;
    }
    return {};
  }));
  settle_down();
  Digest256 digest{};
  for (std::size_t i = 0; i < 4; ++i) {
    const unsigned n = 1499;
    digest[i] = static_cast<std::uint8_t>((n >> (8 * i) & 15) << 4 | (n >> (8 * i + 4) & 15));
  }
  const auto key = environment().find_key(digest);
  EXPECT_TRUE(key && *key);
}

TEST_F(PublishTest, CatalogFileHasWhatTheLedgerHas) {
  add_model("claude-x");
  const std::uint64_t now = add_price(model_id_, 1000, clock_.realtime_ns() - kSecond);
  const std::uint64_t later = add_price(model_id_, 2000, clock_.realtime_ns() + 100 * kSecond);
  start();
  const auto file = catalog();
  const state::ModelEntry* model = file->find_model("claude-x-latest");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->formats, 1U << 2 | 1U << 0);
  EXPECT_EQ(file->price_of(*model, clock_.realtime_ns())->version, now);
  EXPECT_EQ(file->price_of(*model, clock_.realtime_ns())->input_margin, 1700U);
  EXPECT_EQ(file->price_of(*model, clock_.realtime_ns() + 101 * kSecond)->version, later);
  ASSERT_EQ(file->candidates(*model).size(), 1U);
  const state::CandidateEntry& candidate = file->candidates(*model)[0];
  EXPECT_EQ(file->text(candidate.upstream_model), "up-claude-x");
  EXPECT_EQ(candidate.priority, 3);
  const state::ChannelEntry& channel = file->channel(candidate);
  EXPECT_EQ(channel.format, 2);
  EXPECT_EQ(channel.auth, state::Auth::x_api_key);
  EXPECT_EQ(file->text(channel.host), "api.example.com");
  EXPECT_EQ(channel.port, 443);
  EXPECT_EQ(file->text(channel.base_path), "/v1");
  ASSERT_EQ(file->keys(channel).size(), 1U);
  EXPECT_EQ(file->text(file->keys(channel)[0].sealed), "c2VhbGVk");
}

TEST_F(PublishTest, PriceThatAHoldNamesStaysInTheCatalogAndThenGoes) {
  add_model("m");
  const TimeNs begin_ns = clock_.realtime_ns();
  const std::uint64_t old = add_price(model_id_, 1000, begin_ns - kSecond);
  const std::uint64_t next = add_price(model_id_, 2000, begin_ns + 100 * kSecond);
  const Account account = add_account("acme", kNanosPerUsd);
  start();
  const std::uint64_t first = environment().catalog_pointer()->catalog_generation;
  PlayedShard shard = this->shard();
  shard.set_deadline(30 * 86'400 * kSecond);
  const state::HoldId hold = shard.reserve(account.wallet.id, account.key.id, 1000, old).hold;
  clock_.advance(101 * kSecond);
  settle_down();
  clock_.advance(kSecond);
  settle_down();
  EXPECT_GT(environment().catalog_pointer()->catalog_generation, first)
      << "a price came into force";
  const state::ModelEntry* model = catalog()->find_model("m");
  EXPECT_EQ(catalog()->price_of(*model, clock_.realtime_ns())->version, next);
  // Three days later only the hold still needs the old row.
  clock_.advance(3 * 86'400 * kSecond);
  ASSERT_TRUE(reconciler_->step());
  settle_down();
  EXPECT_NE(catalog()->find_price(old), nullptr);
  shard.settle(hold, 10, account.wallet.id, account.key.id);
  clock_.advance(2 * 86'400 * kSecond);
  ASSERT_TRUE(reconciler_->step());
  settle_down();
  EXPECT_EQ(catalog()->find_price(old), nullptr);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(environment().epoch_directory())) {
    if (entry.path().filename().string().starts_with("catalog.")) ++files;
  }
  EXPECT_LE(files, 2U);
}

TEST_F(PublishTest, ClockThatIsSetBackFindsAPriceAndLosesNone) {
  add_model("m");
  const TimeNs begin_ns = clock_.realtime_ns();
  const std::uint64_t first = add_price(model_id_, 1000, begin_ns - 7200 * kSecond);
  const std::uint64_t second = add_price(model_id_, 2000, begin_ns - 10 * kSecond);
  const Account account = add_account("acme", kNanosPerUsd);
  start();
  PlayedShard shard = this->shard();
  shard.reserve(account.wallet.id, account.key.id, 1000, second);
  clock_.set_realtime_ns(begin_ns - 3600 * kSecond);
  clock_.advance(kSecond);
  ASSERT_TRUE(reconciler_->step());
  settle_down();
  const auto price_now = [&] {
    const auto present = catalog();
    const auto* row = present->price_of(*present->find_model("m"), clock_.realtime_ns());
    return row == nullptr ? 0 : row->version;
  };
  EXPECT_EQ(price_now(), first) << "what is not in force yet again is no price";
  // The hold's price is now two dates ahead.
  add_price(model_id_, 3000, begin_ns - 3000 * kSecond);
  settle_down();
  EXPECT_EQ(price_now(), first);
  EXPECT_NE(catalog()->find_price(second), nullptr) << "a hold has it";
}

TEST_F(PublishTest, OneBadModelDoesNotStopTheOthers) {
  add_model("good");
  add_price(model_id_, 1000, 1);
  add_model("bad", "https://[broken");
  ledger::Model twin;
  twin.name = "twin";
  twin.aliases = "good,fine";
  ASSERT_TRUE(books_->catalog().put(twin));
  start();
  EXPECT_NE(catalog()->find_model("good"), nullptr);
  EXPECT_NE(catalog()->find_model("fine"), nullptr);
  EXPECT_TRUE(catalog()->candidates(*catalog()->find_model("bad")).empty());
}

TEST_F(PublishTest, AddressesArePinnedAndPrivateOnesAreRefused) {
  names_["rebind.example.com"] = {*parse_ip("10.0.0.5"), *parse_ip("169.254.169.254"),
                                  *parse_ip("93.184.216.35")};
  add_model("a");
  add_model("b", "https://rebind.example.com:8443");
  add_model("c", "http://127.0.0.1:9000/v1");
  add_model("d", "http://192.168.7.7:9000/v1");
  options_.allow_private = {*parse_cidr("127.0.0.0/8")};
  start();
  const auto book = addresses();
  ASSERT_EQ(book->find("api.example.com", 443).size(), 1U);
  EXPECT_EQ(book->find("api.example.com", 443)[0].family, 4);
  EXPECT_EQ(book->find("api.example.com", 443)[0].bytes[0], 93);
  ASSERT_EQ(book->find("rebind.example.com", 8443).size(), 1U)
      << "10.0.0.5 and the metadata service are left out";
  EXPECT_EQ(book->find("rebind.example.com", 8443)[0].bytes[3], 35);
  EXPECT_EQ(book->find("rebind.example.com", 8443)[0].port, 8443);
  EXPECT_EQ(book->find("127.0.0.1", 9000).size(), 1U) << "listed in allow_private";
  EXPECT_TRUE(book->find("192.168.7.7", 9000).empty());
}

TEST_F(PublishTest, NameThatStopsResolvingKeepsItsAddresses) {
  add_model("a");
  start();
  const std::uint64_t generation = environment().catalog_pointer()->addresses_generation;
  ASSERT_EQ(addresses()->find("api.example.com", 443).size(), 1U);
  names_.clear();
  for (int i = 0; i < 50; ++i) {
    clock_.advance(kSecond);
    ASSERT_TRUE(reconciler_->step());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(addresses()->find("api.example.com", 443).size(), 1U);
  EXPECT_EQ(environment().catalog_pointer()->addresses_generation, generation);
  // It also survives a restart of the process.
  start();
  ASSERT_EQ(reconciler_->origin(), Origin::warm);
  settle_down();
  EXPECT_EQ(addresses()->find("api.example.com", 443).size(), 1U);
}

TEST_F(PublishTest, NewHostIsLookedUpAtOnce) {
  start();
  add_model("a");
  EXPECT_TRUE(await_address("api.example.com", 443));
}

}  // namespace
}  // namespace sluice::reconcile
