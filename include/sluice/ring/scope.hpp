// Scope: the only way to run tasks side by side. It owns its children, and whoever owns the scope
// awaits join() before it ends, so that no child outlives what it refers to.
#pragma once

#include <coroutine>
#include <cstddef>

#include "sluice/ring/task.hpp"

namespace sluice::ring {

class Scope {
 public:
  Scope() = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() { SLUICE_ASSERT(running_ == 0); }

  /// Starts `task` at once; it runs until it suspends first. Its result is dropped.
  void spawn(Task<void> task);

  /// Children that have not ended.
  [[nodiscard]] std::size_t running() const noexcept { return running_; }

  struct JoinAwaiter {
    Scope& scope;
    [[nodiscard]] bool await_ready() const noexcept { return scope.running_ == 0; }
    void await_suspend(std::coroutine_handle<> joiner) noexcept;
    void await_resume() const noexcept {}
  };
  /// Suspends until no child runs. One joiner at a time.
  [[nodiscard]] JoinAwaiter join() noexcept { return JoinAwaiter{*this}; }

 private:
  struct Detached;
  static Detached run(Scope& scope, Task<void> task);
  void child_ended() noexcept;

  std::size_t running_ = 0;
  std::coroutine_handle<> joiner_;
};

}  // namespace sluice::ring
