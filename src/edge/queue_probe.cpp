#include "queue_probe.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

namespace sluice::edge {

QueueProbe::QueueProbe(ring::Reactor& reactor, const Clock& clock)
    : reactor_(reactor), clock_(clock), operation_(&QueueProbe::on_message, this) {}

QueueProbe::~QueueProbe() {
  if (fd_ >= 0) ::close(fd_);
}

bool QueueProbe::open() {
  fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd_ >= 0;
}

TimeNs QueueProbe::send() {
  if (fd_ < 0 || stopped_) return 0;
  const TimeNs now_ns = clock_.monotonic_ns();
  if (sent_ns_ != 0) return std::max(wait_ns_, now_ns - sent_ns_);
  if (!operation_.in_flight()) {
    // It must wait in the kernel when the message comes: the first one is sent a tick later.
    reactor_.start(operation_, {.code = ring::OpCode::poll, .fd = fd_, .msg_flags = POLLIN});
    return wait_ns_;
  }
  if (eventfd_write(fd_, 1) == 0) sent_ns_ = now_ns;
  return wait_ns_;
}

void QueueProbe::stop() noexcept {
  stopped_ = true;
  reactor_.cancel(operation_);
}

void QueueProbe::on_message(void* context, const ring::Completion& completion) {
  QueueProbe& self = *static_cast<QueueProbe*>(context);
  if (completion.result < 0 || self.stopped_) return;
  eventfd_t count = 0;
  static_cast<void>(eventfd_read(self.fd_, &count));
  self.wait_ns_ = self.clock_.monotonic_ns() - self.sent_ns_;
  self.sent_ns_ = 0;
  self.reactor_.start(self.operation_,
                      {.code = ring::OpCode::poll, .fd = self.fd_, .msg_flags = POLLIN});
}

}  // namespace sluice::edge
