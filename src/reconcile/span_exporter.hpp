// Sends spans to a collector in batches, from a thread of its own. What the collector does not take
// is dropped and counted: the drain never waits for it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "curl_client.hpp"
#include "span_text.hpp"

namespace sluice::reconcile {

class SpanExporter {
 public:
  static constexpr std::size_t kMostWaiting = 8192;  ///< spans; those that come then are dropped
  static constexpr std::size_t kBatch = 512;

  /// `endpoint` as in app::Traces; `headers` are "Name: value" lines.
  SpanExporter(std::string endpoint, std::vector<std::string> headers, std::uint32_t node);
  /// Sends what waits, if the collector takes it at once, and joins the thread.
  ~SpanExporter();
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  /// Takes a span, or drops it. Does not wait but for the queue's lock.
  void add(SpanFacts&& facts);

  [[nodiscard]] std::uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void work();
  [[nodiscard]] bool deliver(const std::vector<SpanFacts>& batch);

  const std::string url_;
  const std::vector<std::string> headers_;
  const std::uint32_t node_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<SpanFacts> waiting_;
  bool ending_ = false;
  Stop stop_{false};
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::thread thread_;
};

}  // namespace sluice::reconcile
