#include "sluice/reconcile/reconciler.hpp"

#include <poll.h>

#include <algorithm>
#include <vector>

#include "reconciler_impl.hpp"

namespace sluice::reconcile {

const char* to_string(Origin origin) {
  switch (origin) {
    case Origin::attached:
      return "attached to shards at work";
    case Origin::warm:
      return "warm start";
    case Origin::rebuilt:
      return "new epoch";
    case Origin::salvaged:
      return "new epoch after a salvage";
  }
  return "unknown";
}

Reconciler::Reconciler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reconciler::~Reconciler() = default;

Result<std::unique_ptr<Reconciler>> Reconciler::start(const Options& options, const Clock& clock,
                                                      std::string& message) {
  auto impl = std::make_unique<Impl>(options, clock);
  if (auto started = impl->start(message); !started) return std::unexpected(started.error());
  return std::unique_ptr<Reconciler>(new Reconciler(std::move(impl)));
}

Result<> Reconciler::step() { return impl_->step(); }

Result<> Reconciler::run(int stop_fd) {
  std::vector<pollfd> fds;
  for (;;) {
    if (auto stepped = impl_->step(); !stepped) return stepped;
    const TimeNs wait_ns = std::max<TimeNs>(0, impl_->next_due_ns() - impl_->clock.monotonic_ns());
    fds = {{stop_fd, POLLIN, 0}, {impl_->publisher->addresses().fd(), POLLIN, 0}};
    impl_->questions->add_to(fds);
    const timespec timeout{wait_ns / kSecond, wait_ns % kSecond};
    const int ready = ppoll(fds.data(), fds.size(), &timeout, nullptr);
    if (ready <= 0) continue;
    if (fds[0].revents != 0) break;
    if (fds[1].revents != 0) impl_->next_look_ns = 0;
    impl_->questions->serve();
  }
  impl_->leave();
  return {};
}

bool Reconciler::drain_all(TimeNs limit_ns) { return impl_->drain_all(limit_ns); }
Origin Reconciler::origin() const { return impl_->started.origin; }
state::Environment& Reconciler::environment() { return *impl_->started.environment; }
ledger::Ledger& Reconciler::ledger() { return *impl_->ledger; }

}  // namespace sluice::reconcile
