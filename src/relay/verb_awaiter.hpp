// Awaiting one verb of the shared state: submits it to the turn's group commit and resumes after
// the commit.
#pragma once

#include <coroutine>

#include "sluice/relay/services.hpp"

namespace sluice::relay {

class VerbAwaiter {
 public:
  VerbAwaiter(Services& services, state::PendingVerb& verb) : services_(services), verb_(verb) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    verb_.context = this;
    verb_.done = [](state::PendingVerb& verb) noexcept {
      auto& self = *static_cast<VerbAwaiter*>(verb.context);
      self.services_.reactor.ready(self.waiter_);
    };
    services_.verbs.submit(verb_, services_.reactor.now_ns());
  }
  void await_resume() const noexcept {}

 private:
  Services& services_;
  state::PendingVerb& verb_;
  std::coroutine_handle<> waiter_;
};

}  // namespace sluice::relay
