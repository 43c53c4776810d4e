// What went wrong, who caused it and whether trying again may help. Text is made at the edge of the
// system.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace sluice {

/// What went wrong. One list for the whole system, so that a status and a log line can be derived
/// anywhere.
enum class Errc : std::uint8_t {
  none,
  // bytes of a peer
  bad_syntax,          ///< not HTTP, not JSON, not TLS: malformed
  bad_framing,         ///< lengths or encodings that disagree
  too_large,           ///< body over its limit
  head_too_large,      ///< header section over its limit
  target_too_long,     ///< request target over its limit
  unsupported,         ///< well formed, but not offered here (method, encoding, version)
  bad_value,           ///< a field is missing or has an impossible value
  expectation_failed,  ///< an Expect other than 100-continue
  // transport
  closed,   ///< the peer ended the connection in order
  reset,    ///< the connection broke
  refused,  ///< nobody listens, or the address is not allowed
  unreachable,
  timed_out,
  truncated,   ///< the peer ended before its message did
  tls_failed,  ///< handshake, certificate or record
  cancelled,   ///< ended by ourselves
  // policy and money
  unauthenticated,
  forbidden,
  not_found,
  insufficient_funds,  ///< the wallet cannot pay the hold
  budget_exhausted,    ///< a budget of the key or the customer is used up
  rate_limited,
  conflict,
  // our own resources
  full,         ///< a bounded pool or the map is full
  unavailable,  ///< a part of the system is away (store, reconciler, provider)
  io,           ///< a system call failed: see sys_errno
  corrupt,      ///< a stored record fails its check
  stale_epoch,  ///< the shared state was rebuilt since this process opened it
  internal,
  // Usage records have these numbers: new ones go to the end.
  proxy_failed,  ///< a proxy on the way to the upstream refused, or made no sense
};

/// Who caused it.
enum class Source : std::uint8_t { self, client, upstream };

/// Whether the same step may be tried again.
enum class Retry : std::uint8_t { no, yes };

struct Error {
  Errc code = Errc::none;
  Source source = Source::self;
  Retry retry = Retry::no;
  int sys_errno = 0;  ///< errno of the failed call, or 0

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T = void>
using Result = std::expected<T, Error>;

/// An unexpected value ready to return: `return fail(Errc::closed, Source::client);`
[[nodiscard]] constexpr std::unexpected<Error> fail(Errc code, Source source = Source::self,
                                                    Retry retry = Retry::no, int sys_errno = 0) {
  return std::unexpected<Error>(Error{code, source, retry, sys_errno});
}

/// The error's name as it is written to logs and metrics: lower-case, never empty.
[[nodiscard]] std::string_view to_string(Errc code);
[[nodiscard]] std::string_view to_string(Source source);

}  // namespace sluice
