#include "sluice/net/listener.hpp"

#include <cerrno>

namespace sluice::net {
namespace {

// Out of descriptors, or the socket is of no use: accepting again at once would fail again, and
// spin.
constexpr TimeNs kBackoffNs = 50 * kMillisecond;

}  // namespace

Listener::Listener(ring::Reactor& reactor, int listening_fd, OnAccept on_accept, Gate gate,
                   void* context)
    : reactor_(reactor),
      fd_(listening_fd),
      on_accept_(on_accept),
      gate_(gate),
      context_(context),
      operation_(&Listener::on_completion, this),
      backoff_(&Listener::on_backoff, this) {}

void Listener::arm() noexcept {
  if (stopped_ || operation_.in_flight() || backoff_.armed() || !gate_(context_)) return;
  reactor_.start(operation_, {.code = ring::OpCode::accept, .fd = fd_});
}

void Listener::stop() noexcept {
  stopped_ = true;
  backoff_.disarm();
  reactor_.cancel(operation_);
}

void Listener::on_completion(void* context, const ring::Completion& completion) {
  Listener& self = *static_cast<Listener*>(context);
  switch (completion.result) {
    case -ECANCELED:
      return;
    // A connection that broke before it was accepted: accept(2) names these errors of the network.
    case -ECONNABORTED:
    case -EINTR:
    case -EAGAIN:
    case -EPERM:
    case -EPROTO:
    case -ENOPROTOOPT:
    case -EOPNOTSUPP:
    case -ENETDOWN:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -EHOSTUNREACH:
    case -ENONET:
      break;
    default:
      if (completion.result < 0) {
        ++self.failures_;
        if (!self.stopped_) {
          self.reactor_.timers().arm(self.backoff_, self.reactor_.now_ns() + kBackoffNs);
        }
        return;
      }
      self.on_accept_(self.context_, completion.result);
  }
  self.arm();
}

void Listener::on_backoff(ring::Timer&, void* context) { static_cast<Listener*>(context)->arm(); }

}  // namespace sluice::net
