#include "sluice/ring/scope.hpp"

#include <utility>

namespace sluice::ring {

// A coroutine that starts at once, owns one child task and destroys itself when the child has
// ended.
struct Scope::Detached {
  struct promise_type {
    static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
    static void operator delete(void* block, std::size_t bytes) noexcept {
      release_frame(block, bytes);
    }
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
};

Scope::Detached Scope::run(Scope& scope, Task<void> task) {
  {
    Task<void> owned = std::move(task);
    co_await owned;
  }
  scope.child_ended();
}

void Scope::spawn(Task<void> task) {
  ++running_;
  run(*this, std::move(task));
}

void Scope::child_ended() noexcept {
  SLUICE_ASSERT(running_ > 0);
  --running_;
  if (running_ == 0 && joiner_) std::exchange(joiner_, nullptr).resume();
}

void Scope::JoinAwaiter::await_suspend(std::coroutine_handle<> joiner) noexcept {
  SLUICE_ASSERT(!scope.joiner_);
  scope.joiner_ = joiner;
}

}  // namespace sluice::ring
