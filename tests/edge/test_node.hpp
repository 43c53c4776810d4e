// One shard in this process, on a shared state of its own: what the reconciler would publish is put
// there by the test, and what the shard left is read after it has ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/edge/shard.hpp"
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
  std::vector<std::uint16_t> more_upstreams;  ///< further channels of the same model
  std::uint32_t model_flags =
      state::kModelEnabled | state::kModelListed | state::kModelRetryAfterSend;
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
  /// Asks the shard to finish.
  void drain();
  /// Drains and ends the shard; then what it left can be read.
  void stop();
  [[nodiscard]] const state::StateCopy& left() const { return left_; }
  [[nodiscard]] const state::OutboxRecord& only_record() const;
  [[nodiscard]] const state::WalletRecord& wallet() const;

 private:
  void build(const NodePlan& plan);
  void publish(const NodePlan& plan);

  std::string directory_;
  std::uint16_t port_ = 0;
  int listening_ = -1;
  int control_[2] = {-1, -1};
  edge::ShardOptions options_;
  SkippingClock clock_;
  std::thread shard_;
  bool stopped_ = false;
  state::StateCopy left_;
};

}  // namespace sluice::test
