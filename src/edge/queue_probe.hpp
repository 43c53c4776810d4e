// How long what arrives at a shard waits until it is looked at: a message to itself takes the same
// way through the kernel's queue and the ring's.
#pragma once

#include "sluice/ring/reactor.hpp"

namespace sluice::edge {

/// Lifecycle: open() once; send() now and then; stop(), and destroyed when !in_flight(). Thread:
/// its reactor's.
class QueueProbe {
 public:
  /// `clock` is the reactor's own.
  QueueProbe(ring::Reactor& reactor, const Clock& clock);
  QueueProbe(const QueueProbe&) = delete;
  QueueProbe& operator=(const QueueProbe&) = delete;
  ~QueueProbe();

  /// False: no descriptor.
  [[nodiscard]] bool open();
  /// The wait of the last message that was looked at or, when it is still under way, its wait so
  /// far if that is longer; then sends the next if there is none. Nanoseconds.
  [[nodiscard]] TimeNs send();
  void stop() noexcept;
  [[nodiscard]] bool in_flight() const noexcept { return operation_.in_flight(); }

 private:
  static void on_message(void* context, const ring::Completion& completion);

  ring::Reactor& reactor_;
  const Clock& clock_;
  ring::Operation operation_;
  int fd_ = -1;
  bool stopped_ = false;
  TimeNs sent_ns_ = 0;
  TimeNs wait_ns_ = 0;
};

}  // namespace sluice::edge
