// Pool: idle upstream connections of one shard, by endpoint. A pooled connection keeps receiving,
// so that its end, or a byte that nobody asked for, is noticed at once and it is dropped instead of
// reused.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sluice/net/stream.hpp"
#include "sluice/ring/scope.hpp"

namespace sluice::net {

/// Which connections are interchangeable: the channel's number and the generation of its addresses
/// and TLS settings.
struct PoolKey {
  std::uint32_t endpoint = 0;
  std::uint32_t generation = 0;
  friend bool operator==(const PoolKey&, const PoolKey&) = default;
};

class Pool {
 public:
  /// `idle_most` connections are kept in all; the oldest goes when one more comes. Idle ones are
  /// closed after `idle_ns`.
  Pool(ring::Reactor& reactor, std::size_t idle_most, TimeNs idle_ns);
  ~Pool();

  /// The connection of that endpoint that was used last, or nullptr.
  [[nodiscard]] std::unique_ptr<Stream> take(PoolKey key);

  /// Keeps a connection whose last exchange ended with nothing left to read. One that has ended, or
  /// has something to read, is closed, and so is every one after close().
  void put(PoolKey key, std::unique_ptr<Stream> stream);

  /// Closes a connection in the background.
  void discard(std::unique_ptr<Stream> stream);

  /// Closes all; suspends until every operation has ended.
  [[nodiscard]] ring::Task<> close();

  [[nodiscard]] std::size_t idle() const noexcept { return entries_.size(); }
  [[nodiscard]] std::uint64_t reused() const noexcept { return reused_; }

 private:
  struct Entry {
    PoolKey key;
    TimeNs since_ns;
    std::unique_ptr<Stream> stream;
  };
  static void on_end(void* context, const Error& end);
  static void on_idle(ring::Timer& timer, void* context);
  void remove_ended();
  void drop(std::size_t index);

  ring::Reactor& reactor_;
  std::size_t idle_most_;
  TimeNs idle_ns_;
  std::vector<Entry> entries_;  ///< oldest first
  ring::Timer idle_timer_;
  ring::Scope closing_;
  std::uint64_t reused_ = 0;
  bool closed_ = false;
};

}  // namespace sluice::net
