#include "span_exporter.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "episode.hpp"

namespace sluice::reconcile {
namespace {

constexpr auto kGather = std::chrono::milliseconds(500);  // a batch that is not full waits so long
constexpr int kTries = 4;
constexpr auto kFirstPause = std::chrono::milliseconds(250);  // doubled from try to try

// OTLP/HTTP: these may be tried again, any other refusal is final.
bool may_retry(int status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

std::string traces_url(std::string endpoint) {
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint + "/v1/traces";
}

std::vector<std::string> with_type(std::vector<std::string> headers) {
  headers.emplace_back("Content-Type: application/json");
  headers.emplace_back("Expect:");  // no round trip before the body
  return headers;
}

}  // namespace

SpanExporter::SpanExporter(std::string endpoint, std::vector<std::string> headers,
                           std::uint32_t node)
    : url_(traces_url(std::move(endpoint))), headers_(with_type(std::move(headers))), node_(node) {
  thread_ = std::thread([this] { work(); });
}

SpanExporter::~SpanExporter() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void SpanExporter::add(SpanFacts&& facts) {
  bool full_batch = false;
  {
    const std::scoped_lock lock(mutex_);
    if (waiting_.size() >= kMostWaiting) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    waiting_.push_back(std::move(facts));
    full_batch = waiting_.size() == kBatch;
  }
  if (full_batch) wake_.notify_one();
}

void SpanExporter::work() {
  Episode trouble;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait_for(lock, kGather, [this] { return ending_ || waiting_.size() >= kBatch; });
    if (waiting_.empty()) {
      if (ending_) return;
      continue;
    }
    const std::size_t count = std::min(kBatch, waiting_.size());
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
    const std::vector<SpanFacts> batch(std::make_move_iterator(waiting_.begin()),
                                       std::make_move_iterator(end));
    waiting_.erase(waiting_.begin(), end);
    lock.unlock();
    if (deliver(batch)) {
      sent_.fetch_add(count, std::memory_order_relaxed);
      trouble.end("the collector takes spans again");
    } else {
      dropped_.fetch_add(count, std::memory_order_relaxed);
      trouble.begin("spans are dropped: " + url_ + " does not take them");
    }
    lock.lock();
  }
}

bool SpanExporter::deliver(const std::vector<SpanFacts>& batch) {
  const HttpPost request{url_, headers_, spans_json(batch, node_)};
  auto pause = kFirstPause;
  for (int left = kTries; left > 0; --left) {
    const Result<int> status = post(request, stop_);
    if (status && *status >= 200 && *status < 300) return true;
    if (status && !may_retry(*status)) return false;
    std::unique_lock lock(mutex_);
    if (left == 1 || wake_.wait_for(lock, pause, [this] { return ending_; })) return false;
    pause *= 2;
  }
  return false;
}

}  // namespace sluice::reconcile
