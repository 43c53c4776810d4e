// Listener: accepts connections on a socket that all shards share. Each arms one accept at a time
// and only while its gate allows it, which spreads long streams evenly (a multishot accept would
// take them all).
#pragma once

#include <cstdint>

#include "sluice/ring/reactor.hpp"

namespace sluice::net {

class Listener {
 public:
  /// Called with each accepted descriptor (blocking mode, close-on-exec, TCP_NODELAY inherited);
  /// owns it.
  using OnAccept = void (*)(void* context, int fd);
  /// Whether another connection may be accepted now.
  using Gate = bool (*)(void* context);

  Listener(ring::Reactor& reactor, int listening_fd, OnAccept on_accept, Gate gate, void* context);

  /// Arms the accept if the gate allows it. Also called when the gate may have opened.
  void arm() noexcept;
  /// Stops accepting; the descriptor stays open. Done when !in_flight(); until then one more
  /// connection may come.
  void stop() noexcept;
  [[nodiscard]] bool in_flight() const noexcept { return operation_.in_flight(); }
  /// Accepts that failed for lack of descriptors or memory, or because the socket is of no use.
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

 private:
  static void on_completion(void* context, const ring::Completion& completion);
  static void on_backoff(ring::Timer& timer, void* context);

  ring::Reactor& reactor_;
  int fd_;
  OnAccept on_accept_;
  Gate gate_;
  void* context_;
  bool stopped_ = false;
  std::uint64_t failures_ = 0;
  ring::Operation operation_;
  ring::Timer backoff_;
};

}  // namespace sluice::net
