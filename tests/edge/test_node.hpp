// One shard in this process, on a shared state of its own: what the reconciler would publish is put
// there by the test, and what the shard left is read after it has ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/edge/shard.hpp"
#include "sluice/state/boards.hpp"
#include "sluice/state/build.hpp"
#include "sluice/state/catalog_builder.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::test {

inline constexpr const char* kApiKey = "sk-test";

/// The machine's clocks, moved on at once when a test says so: minutes of silence take no time.
class SkippingClock final : public Clock {
 public:
  [[nodiscard]] TimeNs monotonic_ns() const override {
    return system_clock().monotonic_ns() + skipped_ns_;
  }
  [[nodiscard]] TimeNs realtime_ns() const override {
    return system_clock().realtime_ns() + skipped_ns_;
  }
  void skip(TimeNs by_ns) { skipped_ns_ += by_ns; }

 private:
  std::atomic<TimeNs> skipped_ns_{0};
};

struct NodePlan {
  std::uint16_t upstream_port = 0;
  Nanos balance = 10 * kNanosPerUsd;
  state::KeyRecord key;  ///< ids are filled in
  state::Limits limits;
  relay::Settings settings;
  std::uint8_t upstream_format = 0;           ///< dialect::Format
  std::vector<std::uint16_t> more_upstreams;  ///< further channels of the same model, tried later
  /// Upstreams of a second model "n" (price as of "m"), and with it the group "any" of m and n.
  std::vector<std::uint16_t> second_model;
  std::vector<std::string> aliases;  ///< of model "m"
  std::string upstream_model = "up-m";
  std::vector<std::string> provider_keys{"provider-secret"};  ///< of each channel: ids 10 × channel
  std::uint32_t model_flags =
      state::kModelEnabled | state::kModelListed | state::kModelRetryAfterSend;
  struct {
    std::uint32_t first_byte_ms = 0;
    std::uint32_t first_token_ms = 0;
    std::uint32_t between_tokens_ms = 0;
    std::uint32_t total_ms = 0;
  } model_times;  ///< 0 = the node's
  TimeNs drain_ns = 2 * kSecond;
  std::uint32_t connections_most = 2000;
  std::uint32_t connections_per_address = 0;
};

/// Model "m" costs 1 USD a million input tokens and 2 USD a million output tokens, goes upstream as
/// "up-m".
class TestNode {
 public:
  explicit TestNode(NodePlan plan);
  ~TestNode();
  TestNode(const TestNode&) = delete;
  TestNode& operator=(const TestNode&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// The shard's time goes on by so much at once, as if nothing had happened meanwhile.
  void skip(TimeNs by_ns) { clock_.skip(by_ns); }
  /// The shard's monotonic time.
  [[nodiscard]] TimeNs now_ns() const { return clock_.monotonic_ns(); }
  [[nodiscard]] const std::string& epoch_directory() const { return epoch_directory_; }
  /// Asks the shard to finish.
  void drain();
  /// Drains and ends the shard; then what it left can be read.
  void stop();
  [[nodiscard]] const state::StateCopy& left() const { return left_; }
  [[nodiscard]] const state::OutboxRecord& only_record() const;
  [[nodiscard]] const state::WalletRecord& wallet() const;
  /// The shard's health board; while it runs.
  [[nodiscard]] state::HealthEntry& health(state::HealthKind kind, std::uint32_t id);
  /// What the shard has counted so far; while it runs.
  [[nodiscard]] std::uint64_t counted(relay::Counter counter);

 private:
  void build(const NodePlan& plan);
  void publish(const NodePlan& plan);

  std::string directory_;
  std::string epoch_directory_;
  std::uint16_t port_ = 0;
  int listening_ = -1;
  int control_[2] = {-1, -1};
  edge::ShardOptions options_;
  SkippingClock clock_;
  std::thread shard_;
  bool stopped_ = false;
  std::unique_ptr<state::Boards> boards_;  ///< a view of the shard's, as another process has it
  state::StateCopy left_;
};

}  // namespace sluice::test
