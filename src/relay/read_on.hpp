// Policy `drain`: the answer of a client that has left is read on for the provider's usage, until a
// cap of the key is reached.
#pragma once

#include <memory>

#include "hold.hpp"
#include "sluice/relay/services.hpp"
#include "sluice/ring/frame_pool.hpp"

namespace sluice::relay {

/// Lifecycle: made when the client leaves. Owner: its exchange.
class ReadOn : public ring::Pooled {
 public:
  using OnOver = void (*)(void* context);

  /// `over` is called when the time is over. A cap of 0 is none.
  ReadOn(Services& services, const state::KeyRecord& key, OnOver over, void* context);
  ReadOn(const ReadOn&) = delete;
  ReadOn& operator=(const ReadOn&) = delete;

  /// So many bytes of the answer have come that nobody wants, and so many output tokens are counted
  /// in all; the first call says with how many it began. `terms` may be null.
  void take(std::uint64_t bytes, Tokens counted, const HoldTerms* terms);
  [[nodiscard]] bool over() const { return over_; }

 private:
  static void on_time(ring::Timer& timer, void* context);

  std::uint64_t bytes_most_;
  Nanos nanos_most_;
  std::uint64_t bytes_ = 0;
  Tokens counted_before_ = -1;
  bool over_ = false;
  OnOver on_over_;
  void* context_;
  ring::Timer timer_;
};

}  // namespace sluice::relay
