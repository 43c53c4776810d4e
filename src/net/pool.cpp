#include "sluice/net/pool.hpp"

#include <algorithm>
#include <utility>

namespace sluice::net {
namespace {

ring::Task<> close_stream(std::unique_ptr<Stream> stream) {
  // The stream may be in the middle of telling us that it ended.
  co_await stream->reactor().yield();
  co_await stream->close();
}

// It has not ended, and it has not spoken unasked.
bool is_idle(const Stream& stream) {
  return stream.end().code == Errc::none && !stream.has_received();
}

}  // namespace

Pool::Pool(ring::Reactor& reactor, std::size_t idle_most, TimeNs idle_ns)
    : reactor_(reactor),
      idle_most_(idle_most),
      idle_ns_(idle_ns),
      idle_timer_(&Pool::on_idle, this) {}

Pool::~Pool() { SLUICE_ASSERT(entries_.empty()); }

std::unique_ptr<Stream> Pool::take(PoolKey key) {
  for (std::size_t i = entries_.size(); i-- > 0;) {
    if (!(entries_[i].key == key)) continue;
    std::unique_ptr<Stream> stream = std::move(entries_[i].stream);
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
    stream->watch_end(nullptr, nullptr);
    if (is_idle(*stream)) {
      ++reused_;
      return stream;
    }
    discard(std::move(stream));  // it ended, or spoke unasked
  }
  return nullptr;
}

void Pool::put(PoolKey key, std::unique_ptr<Stream> stream) {
  if (closed_ || idle_most_ == 0 || !is_idle(*stream)) {
    discard(std::move(stream));
    return;
  }
  if (entries_.size() >= idle_most_) drop(0);
  stream->watch_idle(&Pool::on_end, this);
  stream->start_receiving();
  entries_.push_back({key, reactor_.now_ns(), std::move(stream)});
  if (!idle_timer_.armed()) reactor_.timers().arm(idle_timer_, reactor_.now_ns() + idle_ns_);
}

void Pool::discard(std::unique_ptr<Stream> stream) {
  closing_.spawn(close_stream(std::move(stream)));
}

void Pool::drop(std::size_t index) {
  std::unique_ptr<Stream> stream = std::move(entries_[index].stream);
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index));
  discard(std::move(stream));
}

void Pool::on_end(void* context, const Error&) { static_cast<Pool*>(context)->remove_ended(); }

void Pool::remove_ended() {
  for (std::size_t i = entries_.size(); i-- > 0;) {
    if (!is_idle(*entries_[i].stream)) drop(i);
  }
}

void Pool::on_idle(ring::Timer&, void* context) {
  Pool& self = *static_cast<Pool*>(context);
  const TimeNs now_ns = self.reactor_.now_ns();
  while (!self.entries_.empty() && self.entries_.front().since_ns + self.idle_ns_ <= now_ns) {
    self.drop(0);
  }
  if (!self.entries_.empty()) {
    self.reactor_.timers().arm(self.idle_timer_, self.entries_.front().since_ns + self.idle_ns_);
  }
}

ring::Task<> Pool::close() {
  closed_ = true;
  idle_timer_.disarm();
  while (!entries_.empty()) drop(entries_.size() - 1);
  co_await closing_.join();
}

}  // namespace sluice::net
