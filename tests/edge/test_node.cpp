#include "test_node.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sluice/base/clock.hpp"
#include "sluice/base/random.hpp"
#include "sluice/net/address.hpp"
#include "sluice/state/addresses.hpp"
#include "sluice/state/writer.hpp"
#include "sluice/tls/key_hasher.hpp"

namespace sluice::test {
namespace {

constexpr std::uint64_t kPriceVersion = 7;
constexpr state::WalletId kWallet = 1;
constexpr state::KeyId kKey = 1;

const std::array<std::uint8_t, 32> kPepper = [] {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(0x5a);
  return bytes;
}();

void write_secret(const std::string& path, const std::uint8_t* bytes, std::size_t count) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes), static_cast<std::streamsize>(count));
  chmod(path.c_str(), 0400);
}

std::string seal(const std::array<std::uint8_t, 32>& public_key, std::string_view secret) {
  std::string box(secret.size() + crypto_box_curve25519xchacha20poly1305_SEALBYTES, '\0');
  crypto_box_curve25519xchacha20poly1305_seal(reinterpret_cast<unsigned char*>(box.data()),
                                              reinterpret_cast<const unsigned char*>(secret.data()),
                                              secret.size(), public_key.data());
  std::string text(sodium_base64_encoded_len(box.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(box.data()),
                    box.size(), sodium_base64_VARIANT_ORIGINAL);
  text.resize(text.find('\0'));
  return text;
}

price::PriceRow price_row() {
  price::PriceRow row;
  row.version = kPriceVersion;
  row.base.input = kNanosPerUsd;
  row.base.cache_read = kNanosPerUsd / 10;
  row.base.cache_write_short = kNanosPerUsd;
  row.base.cache_write_long = kNanosPerUsd;
  row.base.output = 2 * kNanosPerUsd;
  row.fees[static_cast<std::size_t>(price::Fee::web_search)] = kNanosPerUsd / 100;
  row.max_output_tokens = 4096;
  row.context_tokens = 128'000;
  return row;
}

}  // namespace

TestNode::TestNode(NodePlan plan) {
  std::string pattern = "/dev/shm/sluice-test-XXXXXX";
  directory_ = mkdtemp(pattern.data());
  build(plan);
  publish(plan);
  const auto address = net::parse_address("127.0.0.1:0");
  listening_ = *net::listen_on(*address);
  sockaddr_in bound{};
  socklen_t bytes = sizeof bound;
  getsockname(listening_, reinterpret_cast<sockaddr*>(&bound), &bytes);
  port_ = ntohs(bound.sin_port);
  EXPECT_EQ(pipe(control_), 0);
  options_.listeners.push_back({.fd = listening_, .certificate_file = {}, .key_file = {}});
  options_.control = control_[0];
  options_.state_directory = directory_;
  options_.connections_most = plan.connections_most;
  options_.connections_per_address = plan.connections_per_address;
  options_.drain_ns = plan.drain_ns;
  options_.clock = &clock_;
  options_.pepper_file = directory_ + "/pepper";
  options_.sealing_key_file = directory_ + "/sealing.key";
  options_.ca_file = "/etc/ssl/certs/ca-certificates.crt";
  options_.settings = plan.settings;
  shard_ = std::thread([this] { EXPECT_EQ(edge::run_shard(options_), 0); });
}

void TestNode::build(const NodePlan& plan) {
  std::string message;
  const auto lock = state::EnvironmentLock::acquire(directory_);
  ASSERT_TRUE(lock.has_value());
  state::WalletSnapshot wallet;
  wallet.policy.wallet_id = kWallet;
  wallet.balance = plan.balance;
  state::KeySnapshot key;
  key.key.digest = tls::HmacKeyHasher(kPepper).hash(kApiKey);
  key.key.record = plan.key;
  key.key.record.key_id = kKey;
  key.key.record.wallet_id = kWallet;
  key.key.limits = plan.limits;
  const auto built = state::build_epoch({.directory = directory_,
                                         .map_bytes = 16 * kMiB,
                                         .epoch = 1,
                                         .slots = 2,
                                         .meter_entries = 2048,
                                         .realtime_ns = system_clock().realtime_ns()},
                                        *lock, {wallet}, {key}, system_rng(), message);
  ASSERT_TRUE(built.has_value()) << message;
}

void TestNode::publish(const NodePlan& plan) {
  std::array<std::uint8_t, 32> public_key{};
  std::array<std::uint8_t, 32> private_key{};
  crypto_box_curve25519xchacha20poly1305_keypair(public_key.data(), private_key.data());
  write_secret(directory_ + "/pepper", kPepper.data(), kPepper.size());
  write_secret(directory_ + "/sealing.key", private_key.data(), private_key.size());

  state::CatalogSpec spec;
  spec.generation = 1;
  std::vector<state::AddressSpec> addresses;
  const auto add_channel = [&](std::uint16_t port) {
    state::ChannelSpec channel;
    channel.id = static_cast<std::uint32_t>(spec.channels.size() + 1);
    channel.name = "channel-" + std::to_string(channel.id);
    channel.format = plan.upstream_format;
    channel.scheme = state::Scheme::http;
    channel.port = port;
    channel.host = "127.0.0.1";
    channel.base_path = "/v1";
    for (const std::string& secret : plan.provider_keys) {
      const auto number = static_cast<std::uint32_t>(channel.keys.size());
      channel.keys.push_back(
          {.id = channel.id * 10 + number, .enabled = true, .sealed = seal(public_key, secret)});
    }
    spec.channels.push_back(channel);
    const state::PinnedAddress pinned{.bytes = {127, 0, 0, 1}, .family = 4, .port = port};
    addresses.push_back({.host = "127.0.0.1", .port = port, .addresses = {pinned}});
    return channel.id;
  };
  std::vector<std::uint16_t> ports{plan.upstream_port};
  ports.insert(ports.end(), plan.more_upstreams.begin(), plan.more_upstreams.end());
  const auto add_model = [&](std::string name, const std::vector<std::uint16_t>& upstreams,
                             std::string upstream_model) {
    state::ModelSpec model;
    model.id = static_cast<std::uint32_t>(spec.models.size() + 1);
    model.name = std::move(name);
    model.flags = plan.model_flags;
    model.price_version = kPriceVersion;
    model.first_byte_timeout_ms = plan.model_times.first_byte_ms;
    model.first_token_timeout_ms = plan.model_times.first_token_ms;
    model.between_tokens_timeout_ms = plan.model_times.between_tokens_ms;
    model.total_timeout_ms = plan.model_times.total_ms;
    for (const std::uint16_t port : upstreams) {
      model.candidates.push_back({.channel_id = add_channel(port),
                                  .priority = static_cast<std::uint16_t>(model.candidates.size()),
                                  .upstream_model = upstream_model});
    }
    spec.models.push_back(model);
  };
  add_model("m", ports, plan.upstream_model);
  spec.models[0].aliases = plan.aliases;
  if (!plan.second_model.empty()) {
    add_model("n", plan.second_model, "up-n");
    spec.route_groups.push_back({.id = 5, .name = "any", .model_ids = {1, 2}});
  }
  spec.prices.push_back(price_row());
  spec.zones.push_back(state::utc_zone(system_clock().realtime_ns() / kSecond - 86400, 30));

  std::string message;
  const auto catalog = state::build_catalog(spec, message);
  ASSERT_TRUE(catalog.has_value()) << message;
  const auto book = state::build_addresses(1, addresses);
  ASSERT_TRUE(book.has_value());
  auto environment = state::open({.directory = directory_}, message);
  ASSERT_TRUE(environment.has_value()) << message;
  const std::string& epoch = epoch_directory_ = (*environment)->epoch_directory();
  ASSERT_TRUE(state::write_file(epoch, state::catalog_file_name(1), *catalog));
  ASSERT_TRUE(state::write_file(epoch, state::addresses_file_name(1), *book));
  state::Writer writer(**environment);
  ASSERT_TRUE(writer.set_catalog(1, state::catalog_file_name(1), state::file_hash(*catalog)));
  ASSERT_TRUE(writer.set_addresses(1, state::addresses_file_name(1), state::file_hash(*book)));
  (*environment)->boards().admission().ready.store(1);
  auto boards = state::Boards::attach(epoch, message);
  ASSERT_TRUE(boards.has_value()) << message;
  boards_ = std::move(*boards);
}

state::HealthEntry& TestNode::health(state::HealthKind kind, std::uint32_t id) {
  return *health_of(boards_->health(), kind, id);
}

std::uint64_t TestNode::counted(relay::Counter counter) {
  std::uint64_t sum = 0;
  for (const state::ShardBlock& shard : boards_->shards())
    sum += shard.metrics[static_cast<std::size_t>(counter)].load(std::memory_order_relaxed);
  return sum;
}

TestNode::~TestNode() {
  stop();
  close(listening_);
  std::filesystem::remove_all(directory_);
}

void TestNode::drain() { EXPECT_EQ(write(control_[1], "d", 1), 1); }

void TestNode::stop() {
  if (stopped_) return;
  stopped_ = true;
  drain();
  shard_.join();
  close(control_[0]);
  close(control_[1]);
  std::string message;
  auto environment = state::open({.directory = directory_}, message);
  ASSERT_TRUE(environment.has_value()) << message;
  ASSERT_TRUE(state::copy_state(**environment, state::kCopyAll, left_));
  EXPECT_TRUE(left_.holds.empty());
  for (const state::WalletRecord& wallet : left_.wallets) {
    EXPECT_TRUE(state::identity_holds(wallet));
    EXPECT_EQ(wallet.held, 0);
  }
}

const state::OutboxRecord& TestNode::only_record() const {
  EXPECT_EQ(left_.outbox.size(), 1U);
  return left_.outbox.front().record;
}

const state::WalletRecord& TestNode::wallet() const { return left_.wallets.front(); }

}  // namespace sluice::test
