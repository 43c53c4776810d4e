// One try at one candidate: a connection, the request on its way, the head of the answer.
#pragma once

#include <memory>

#include "hold.hpp"
#include "response_head.hpp"
#include "sluice/ring/scope.hpp"
#include "timeouts.hpp"
#include "upstream_request.hpp"

namespace sluice::relay {

/// Lifecycle: prepare(), start(), read_head(); then finish() exactly once, whatever they said.
/// Owner: one exchange.
class Attempt {
 public:
  Attempt(Services& services, const Request& request, Hold* hold)
      : services_(services), request_(request), hold_(hold) {}
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  /// Makes the request's bytes. Before start(). Errors: as UpstreamRequest::build.
  [[nodiscard]] Result<> prepare(const UpstreamTarget& target, const dialect::EditList& edits);

  /// Connects or, unless `fresh`, reuses, and begins to send: that goes on beside reading (an
  /// upstream may answer before it has read everything). Errors: of connect; source upstream.
  /// cancelled after abort().
  [[nodiscard]] ring::Task<Result<>> start(const UpstreamTarget& target, const Timeouts& timeouts,
                                           bool fresh);
  /// Reads the answer's head. After timed_out it may be called again. Errors: of the head; source
  /// upstream. cancelled after abort().
  [[nodiscard]] ring::Task<Result<ResponseFacts>> read_head(TimeNs deadline_ns);

  /// Whether this error of read_head() says nothing of the provider: a connection that had served
  /// before ended as the request was sent, without a byte of an answer. It was closed between two
  /// requests, and the end and the request have passed each other on their way.
  [[nodiscard]] bool is_stale(const Error& error) const;

  /// Ends whatever waits, soon. Used when the client has gone.
  void abort() noexcept;
  /// Joins the sender; gives the connection back to the pool or closes it.
  [[nodiscard]] ring::Task<> finish(bool reusable);

  [[nodiscard]] net::Stream& upstream() { return *stream_; }
  /// A byte of the request may have reached the provider.
  [[nodiscard]] bool sent_any() const { return sent_any_; }
  /// All of it was accepted by the kernel.
  [[nodiscard]] bool sent_all() const { return sent_all_; }
  [[nodiscard]] TimeNs connected_ns() const { return connected_ns_; }
  [[nodiscard]] TimeNs sent_ns() const { return sent_ns_; }

 private:
  [[nodiscard]] ring::Task<Result<>> connect(const UpstreamTarget& target,
                                             const Timeouts& timeouts);
  [[nodiscard]] ring::Task<Result<>> pass_proxy(const UpstreamTarget& target, TimeNs deadline_ns);
  [[nodiscard]] ring::Task<Result<>> shake_hands(const UpstreamTarget& target, TimeNs deadline_ns);
  void note_failure(const UpstreamTarget& target, std::string_view what, std::string_view why);
  [[nodiscard]] ring::Task<> send_request();

  Services& services_;
  const Request& request_;
  Hold* hold_;
  net::PoolKey key_;
  std::unique_ptr<net::Stream> stream_;
  std::unique_ptr<UpstreamRequest> upstream_request_;  ///< until it was sent
  SlowResponse slow_head_;
  ring::Scope sender_;
  bool aborted_ = false;
  bool reused_ = false;
  bool sent_any_ = false;
  bool sent_all_ = false;
  TimeNs connected_ns_ = 0;
  TimeNs sent_ns_ = 0;
};

}  // namespace sluice::relay
