// The relay's own part of the configuration, and its counters.
#pragma once

#include <cstdint>

#include "sluice/base/units.hpp"
#include "sluice/dialect/json_state.hpp"
#include "sluice/http/limits.hpp"
#include "sluice/price/estimate.hpp"
#include "sluice/relay/admission_queue.hpp"
#include "sluice/state/boards.hpp"

namespace sluice::relay {

/// How clients are treated.
struct ClientRules {
  bool tolerate_half_close = false;  ///< an end behind a request does not mean that they have gone
  TimeNs hsts_ns = 365 * 86'400 * kSecond;  ///< max-age in answers over TLS (RFC 6797); 0 = none
};

struct Settings {
  http::Limits limits;
  std::uint64_t bodies_total_bytes = 1024 * kMiB;
  TimeNs head_timeout_ns = 10 * kSecond;
  std::uint32_t body_min_bytes_per_s = 1024;
  TimeNs keepalive_idle_ns = 60 * kSecond;
  std::uint32_t requests_per_connection = 1000;
  TimeNs write_stall_ns = 60 * kSecond;
  TimeNs connect_ns = 5 * kSecond;
  TimeNs tls_ns = 5 * kSecond;  ///< the handshake with a provider
  TimeNs first_byte_stream_ns = 120 * kSecond;
  TimeNs first_byte_whole_ns = 600 * kSecond;
  TimeNs first_token_ns = 120 * kSecond;  ///< of a stream, from its head
  TimeNs between_tokens_ns = 600 * kSecond;
  TimeNs total_ns = 3600 * kSecond;
  TimeNs keepalive_ping_ns = 15 * kSecond;
  TimeNs probe_interval_ns = 0;  ///< between two active probes of a channel; 0 = none are made
  price::SliceRules slice;
  ClientRules clients;
  AdmissionRules admission;
  std::uint8_t json_depth = dialect::kMaxJsonDepth;  ///< of a request's body
};

/// Counters of one shard on the health board, behind those of the shared state.
enum class Counter : std::uint32_t {
  connections = state::kFirstEdgeMetric,
  requests,
  refused,
  streams,
  upstream_connects,
  upstream_reuses,
  upstream_failures,
  client_left,
  cut,
  input_tokens,
  output_tokens,
  charged_nanos,
  bytes_in,
  bytes_out,
  protocol_errors,
  crowded,  ///< connections refused: too many of one address
  shed,
  unknown_keys,        ///< looked up, and not there
  key_checks_refused,  ///< not looked up: too many unknown keys of one address
  credentials,         ///< found in prompts of keys that may not send them
  retries,             ///< requests that were sent to another channel or with another key
  ejections,           ///< channels and provider keys that were left alone
  errors_key_bad,      ///< answers of providers that are errors, by class
  errors_no_money,
  errors_rate,
  errors_overloaded,
  errors_caller,
  errors_unknown,
  upstream_stale,  ///< pooled connections that the provider had closed when they were reused
  count_,
};

/// Name of a counter as Prometheus shows it, e.g. "sluice_requests_total".
[[nodiscard]] const char* to_string(Counter counter);

}  // namespace sluice::relay
